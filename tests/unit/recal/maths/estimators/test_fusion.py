from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.estimators.fusion import PRIOR, WEAK_PRIOR, fuse, limited, own_threshold
from recal.maths.threshold import Part

numbers = st.floats(-5, 5)
sds = st.floats(0.1, 3)
parts = st.lists(st.builds(Part, st.just("labels"), numbers, sds), min_size=1, max_size=5)


@given(parts)
def test_precisions_add_up(given_parts: list[Part]) -> None:
    found = fuse(given_parts)
    precision = sum(part.sd**-2 for part in given_parts)
    assert found.sd == pytest.approx(precision**-0.5)
    weighted = sum(part.threshold * part.sd**-2 for part in given_parts)
    assert found.threshold == pytest.approx(weighted / precision, abs=1e-9)


@given(parts)
def test_the_fusion_lies_among_its_parts_and_is_surer_than_each(given_parts: list[Part]) -> None:
    found = fuse(given_parts)
    thresholds = [part.threshold for part in given_parts]
    assert min(thresholds) - 1e-9 <= found.threshold <= max(thresholds) + 1e-9
    assert found.sd <= min(part.sd for part in given_parts) + 1e-12


def test_no_other_weights_give_a_smaller_variance() -> None:
    rng = np.random.default_rng(0)
    sds = np.array([0.3, 0.6, 1.2])
    best = fuse([Part("x", 0.0, sd) for sd in sds]).sd ** 2
    for weights in rng.dirichlet(np.ones(3), size=200):
        assert float(weights**2 @ sds**2) >= best - 1e-12
    assert float(np.full(3, 1 / 3) ** 2 @ sds**2) > 1.5 * best


def test_nothing_is_no_threshold() -> None:
    with pytest.raises(ValueError, match="nothing is known of the threshold"):
        fuse([])


LABELS = Part("labels", 0.0, 0.3)


def test_a_part_that_agrees_keeps_its_word() -> None:
    part = Part(PRIOR, 0.9, 0.4)
    assert limited(part, LABELS, at=2.0) == part


def test_a_part_that_disagrees_becomes_as_unsure_as_the_difference_asks() -> None:
    found = limited(Part(PRIOR, 3.0, 0.4), LABELS, at=2.0)
    assert 3.0 / math.hypot(found.sd, LABELS.sd) == pytest.approx(2.0)
    assert found.threshold == 3.0


def test_the_further_a_part_is_off_the_less_it_draws() -> None:
    drawn = [
        fuse([LABELS, limited(Part(PRIOR, off, 0.4), LABELS, at=2.0)]).threshold
        for off in (1.0, 2.0, 8.0)
    ]
    assert drawn[2] < drawn[1] < 2 * drawn[0]
    assert fuse([LABELS, Part(PRIOR, 8.0, 0.4)]).threshold > 5 * drawn[2]


def test_a_languages_own_threshold_is_without_others() -> None:
    labels = Part("labels", 1.0, 0.5)
    for name in (PRIOR, WEAK_PRIOR):
        assert own_threshold([labels, Part(name, 9.0, 0.1)]) == pytest.approx((1.0, 0.5))
        assert own_threshold([Part(name, 9.0, 0.1)]) is None
