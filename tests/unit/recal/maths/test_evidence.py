from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from recal.maths.evidence import Evidence, Parallel, Sources, Unlabelled
from recal.maths.two_class import TwoClass


def test_evidence_may_be_empty() -> None:
    assert not Evidence().has_labels
    assert Evidence([1.0], [0.0]).has_labels
    assert not Evidence([1.0], []).has_labels


def test_evidence_is_frozen_to_its_last_number() -> None:
    scores = np.array([1.0, 2.0])
    evidence = Evidence(scores, [0.0], translated=TwoClass(scores, scores))
    scores[0] = 99.0
    assert evidence.harmful[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        evidence.harmful[0] = 99.0
    with pytest.raises(ValueError, match="read-only"):
        evidence.translated.harmful[0] = 99.0
    with pytest.raises(FrozenInstanceError):
        evidence.harmful = scores


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"harmful": [np.nan]}, "`harmful scores` holds nan"),
        ({"harmless": [0.0, -np.inf]}, r"`harmless scores` holds -inf at \(1,\)"),
        ({"harmful": [[1.0]]}, r"`harmful scores` has shape \(1, 1\)"),
        ({"translated": TwoClass([], [1.0])}, "`translated harmful scores` is empty"),
        ({"translated": TwoClass([1.0], [np.nan])}, "`translated harmless scores` holds nan"),
    ],
)
def test_bad_scores_are_named(bad: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Evidence(**bad)


def test_every_example_needs_its_source_translation() -> None:
    with pytest.raises(ValueError, match=r"2 harmful example\(s\) have 1 source score"):
        Evidence([1.0, 2.0], [0.0], sources=Sources([1.0], [0.0]))


@pytest.mark.parametrize("rho", [-1.0, 1.0, np.nan])
def test_an_impossible_correlation_is_refused(rho: float) -> None:
    with pytest.raises(ValueError, match="`rho` is"):
        Sources([1.0], [0.0], rho=rho)


def test_a_class_mean_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="`mean_harmless` of the sources is nan"):
        Sources([1.0], [0.0], mean_harmless=np.nan)


def test_a_handful_of_unlabelled_prompts_is_refused() -> None:
    with pytest.raises(ValueError, match="19 unlabelled .* too few; give at least 20"):
        Unlabelled(np.zeros(19))
    Unlabelled(np.zeros(20))


@pytest.mark.parametrize("share", [0.0, 1.0, np.nan])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="`harmful_share` is"):
        Unlabelled(np.zeros(20), share)


@pytest.mark.parametrize("sd", [-0.1, np.nan, np.inf])
def test_an_impossible_share_spread_is_refused(sd: float) -> None:
    with pytest.raises(ValueError, match="`share_sd` is"):
        Unlabelled(np.zeros(20), share_sd=sd)


def test_parallel_prompts_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="20 parallel prompts have 21 source scores"):
        Parallel(np.zeros(20), np.zeros(21))
    with pytest.raises(ValueError, match=r"3 parallel prompt\(s\) are too few"):
        Parallel(np.zeros(3), np.zeros(3))
