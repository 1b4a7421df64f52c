"""The speed of somebody who answers otherwise is not reported, and how many answer alike is."""

from __future__ import annotations

import pytest

from benchmarks.serving.agreement import same_answers
from benchmarks.serving.peers.catalogue import FUSED, SPLIT, TRANSFORMERS, UNGATED
from benchmarks.serving.timings import Answered, Timings

RIGHT = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12))


def timed(*answers: tuple[int, ...]) -> Timings:
    return Timings(1.0, 1, tuple(Answered(0.0, 0.1, 0.2, tokens) for tokens in answers))


def test_answers_are_compared_with_those_of_their_reference_to_the_end() -> None:
    late = (*RIGHT[:3], (10, 11, 0))
    found = same_answers(
        {
            UNGATED: [timed(*RIGHT)] * 2,
            SPLIT: [timed(*late)] * 2,
            FUSED: [timed(*late)] * 2,
            TRANSFORMERS: [timed(*RIGHT), timed(*late)],
        }
    )
    assert found == {FUSED: 1.0, TRANSFORMERS: 0.75}


def test_a_peer_that_is_wrong_from_the_second_token_on_is_refused_with_its_name() -> None:
    wrong = [(first, 0, 0) for first, *_ in RIGHT]
    with pytest.raises(RuntimeError, match="25% of the answers of `transformers` begin as those"):
        same_answers({UNGATED: [timed(*RIGHT)], TRANSFORMERS: [timed(RIGHT[0], *wrong[1:])]})


def test_half_may_differ_by_rounding() -> None:
    half = (*RIGHT[:2], (7, 0, 0), (0, 11, 12))
    assert same_answers({UNGATED: [timed(*RIGHT)], TRANSFORMERS: [timed(*half)]}) == {
        TRANSFORMERS: 0.5
    }


def test_of_three_answers_nobody_can_tell_and_the_share_is_reported_all_the_same() -> None:
    others = [(0, 0, 0)] * 3
    assert same_answers({UNGATED: [timed(*RIGHT[:3])], TRANSFORMERS: [timed(*others)]}) == {
        TRANSFORMERS: 0.0
    }


def test_without_its_reference_a_peer_has_no_share() -> None:
    assert same_answers({UNGATED: [timed(*RIGHT)], FUSED: [timed(*RIGHT)]}) == {}
