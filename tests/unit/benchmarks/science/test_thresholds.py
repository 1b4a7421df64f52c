"""The comparison: the same draws for every rule, and a table of what came out."""

import numpy as np
import pytest

from benchmarks.science.thresholds import bars_of, compare, outcome, to_markdown
from tests.unit.benchmarks.science.synthetic_reading import reading


def test_an_outcome_is_the_mean_over_languages_of_each_languages_draws() -> None:
    found = outcome("rule", 4, {"a": [0.0, 10.0], "b": [50.0, 50.0]})
    assert found.languages["a"] == (5.0, pytest.approx(0.5), 0.0)
    assert (found.mean, found.fifth, found.worst) == (27.5, pytest.approx(25.25), 25.0)


def test_more_examples_make_the_midpoint_better_and_surer() -> None:
    found = compare(reading(), rules=["midpoint"], ks=(1, 32), draws=25, languages=("yo", "ko"))
    one, many = (o for o in found if o.rule == "midpoint")
    assert many.mean > one.mean
    assert many.mean - many.fifth < one.mean - one.fifth


def test_rules_without_examples_stand_once_and_bound_the_others() -> None:
    found = compare(reading(), rules=["paper_f1"], ks=(2,), draws=5, languages=("yo",))
    by_name = {o.rule: o for o in found}
    assert [o.k for o in found] == [None, None, None, 2]
    assert by_name["zero_shot"].mean < by_name["paper_f1"].mean <= by_name["oracle"].mean
    assert by_name["zero_shot"].mean < by_name["all_labels"].mean <= by_name["oracle"].mean


def test_without_any_difference_between_classes_nothing_is_found() -> None:
    nothing = reading(gap=0.3, seed=3)
    found = compare(nothing, rules=["midpoint"], ks=(4,), draws=30)
    assert abs(next(o.mean for o in found if o.rule == "midpoint")) < 25


def _bars(auto: list[float], paper: list[float], free: float = 60.0) -> dict[str, bool]:
    outcomes = [
        outcome("auto", 4, {"a": auto}),
        outcome("paper_f1", 4, {"a": paper}),
        outcome("paper_f1", 32, {"a": [69.0]}),
        outcome("parallel", 4, {"a": [free]}),
    ]
    return {bar.claim: bar.met for bar in bars_of("o", outcomes)}


@pytest.mark.parametrize(
    ("auto", "paper", "met"),
    [
        ([70.0, 70.0], [60.0, 60.0], (True, True, True)),
        ([62.0, 62.0], [60.5, 60.5], (False, True, False)),
        ([70.0, 70.0], [66.0, 66.0], (False, True, True)),
        ([70.0, 20.0], [0.0, 0.0], (True, False, False)),
    ],
    ids=["all met", "the mean", "the 5th percentile", "not steady"],
)
def test_each_promise_of_auto_can_be_missed(
    auto: list[float], paper: list[float], met: tuple[bool, bool, bool]
) -> None:
    beats, steady, above_many, _ = _bars(auto, paper).values()
    assert (beats, steady, above_many) == met


def test_a_rule_without_labels_may_lie_two_points_lower() -> None:
    for free, met in ((68.0, True), (67.9, False)):
        assert list(_bars([70.0], [0.0], free).values())[-1] is met


def test_only_what_was_compared_is_judged() -> None:
    assert bars_of("o", [outcome("midpoint", 4, {"a": [1.0]})]) == []


def test_the_table_has_a_column_for_each_k() -> None:
    outcomes = [
        outcome("zero_shot", None, {"a": [1.0]}),
        outcome("midpoint", 1, {"a": list(np.arange(20.0))}),
        outcome("midpoint", 4, {"a": [5.0]}),
    ]
    table = to_markdown("organism", outcomes, draws=20)
    assert "| rule | k = 1 | k = 4 |" in table
    assert "| zero_shot | 1.0 | 1.0 |" in table
    assert "| midpoint | 9.5 (1) | 5.0 (5) |" in table
