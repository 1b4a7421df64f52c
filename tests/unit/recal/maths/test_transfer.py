from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest

from recal.maths.logistic import score, score_pair
from recal.maths.metrics import auroc
from recal.maths.readout import fit_readout
from recal.maths.transfer import (
    Score,
    held_out_scores,
    summed,
    transfer,
)
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import residuals, scores


def fit(rows: Mapping[str, TwoClass]) -> dict[str, Score]:
    return {"whole": partial(score, fit_readout(rows).folded)}


class Recorded:
    """A fit that remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def __call__(self, rows: Mapping[str, TwoClass]) -> dict[str, Score]:
        self.seen.append(set(rows))
        return fit(rows)


def test_no_language_is_scored_by_a_fit_that_saw_it() -> None:
    rows = residuals(n_languages=5)
    development = {"dev": rows.pop("l4")}
    recorded = Recorded()
    found = held_out_scores(rows, development, recorded)["whole"]
    assert set(found) == {"l0", "l1", "l2", "l3", "dev"}
    assert recorded.seen == [set(rows) - {name} for name in rows] + [set(rows)]


def test_held_out_scores_are_those_of_the_fit_on_the_others() -> None:
    rows = residuals(n_languages=3)
    found = held_out_scores(rows, {}, fit)["whole"]
    others = {name: pair for name, pair in rows.items() if name != "l1"}
    expected = score_pair(fit_readout(others).folded, rows["l1"])
    np.testing.assert_allclose(found["l1"].harmful, expected.harmful)


def test_one_source_language_leaves_nothing_to_fit_on() -> None:
    with pytest.raises(ValueError, match="at least two"):
        held_out_scores(residuals(n_languages=1), {}, fit)


def test_transfer_does_not_depend_on_where_a_language_lies_or_how_wide_it_is() -> None:
    pair = scores(k=200, gap=2.0)
    moved = {"a": TwoClass(3 * pair.harmful - 9, 3 * pair.harmless - 9)}
    assert transfer({"a": pair}) == transfer(moved)
    closer = TwoClass(pair.harmful - 1.0, pair.harmless)
    assert transfer({"a": closer}) < transfer({"a": pair}) - 0.1


def test_every_language_weighs_the_same_in_transfer() -> None:
    many, few = scores(k=500, gap=9.0), scores(k=5, gap=-9.0)
    assert transfer({"a": many, "b": few}) == pytest.approx(0.5)


def test_independent_parts_separate_better_together() -> None:
    parts = [{"a": scores(k=4000, gap=1.0, seed=seed)} for seed in (0, 1, 2)]
    alone = [auroc(*part["a"]) for part in parts]
    assert auroc(*summed(parts)["a"]) > max(alone) + 0.05


def test_the_same_part_twice_separates_no_better() -> None:
    part = {"a": scores(k=400, gap=1.0)}
    assert auroc(*summed([part, part])["a"]) == auroc(*part["a"])


def test_parts_of_other_languages_or_prompts_cannot_be_summed() -> None:
    one = {"a": scores(k=4)}
    with pytest.raises(ValueError, match="the same languages"):
        summed([one, {"b": scores(k=4)}])
    with pytest.raises(ValueError, match="different prompts of `a`"):
        summed([one, {"a": scores(k=5)}])
    with pytest.raises(ValueError, match="0 parts"):
        summed([])


def test_no_languages_have_no_transfer() -> None:
    with pytest.raises(ValueError, match="no languages"):
        transfer({})


def test_shares_weigh_the_parts_of_a_sum() -> None:
    one, other = {"a": scores(k=4)}, {"a": scores(k=4, seed=1)}
    found = summed([one, other], [2.0, 0.5])["a"].harmful
    np.testing.assert_allclose(found, 2 * one["a"].harmful + 0.5 * other["a"].harmful)
    with pytest.raises(ValueError, match="2 parts were given with 1 shares"):
        summed([one, other], [1.0])
