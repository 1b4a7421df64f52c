"""Two runs over the same questions, paired."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recal.utility.comparison import Answered, answered, compare
from services.domain import Action, Reason, Verdict

NONE = Verdict(Action.NONE, Reason.SCORE, "en", "r@1")
STEER = Verdict(Action.STEER, Reason.SCORE, "sw", "r@1")
UNKNOWN = Verdict(Action.STEER, Reason.LANGUAGE_UNKNOWN, None, "r@1")
RELEASE = Verdict(Action.RELEASE, Reason.SCORE, "en", "r@1")
REFUSE = Verdict(Action.REFUSE, Reason.NON_FINITE_ACTIVATION, "en", "r@1")


def sample(
    question: int, right: float, chosen: int, *, prompt: str = "", metric: str = "acc"
) -> dict[str, Any]:
    answers = [(0.0 if i == chosen else -1.0, False) for i in range(4)]
    arguments = [(prompt or f"p{question}", " A")]
    return {"doc_id": question, "arguments": arguments, "filtered_resps": answers, metric: right}


def pair(*rows: tuple[tuple[float, int], tuple[float, int], Verdict]) -> list[Answered]:
    untouched = [sample(i, *before) for i, (before, _, _) in enumerate(rows)]
    gated = [sample(i, *after) for i, (_, after, _) in enumerate(rows)]
    verdicts = {f"p{i}": verdict for i, (_, _, verdict) in enumerate(rows)}
    return answered("t", untouched, gated, verdicts, ())[0]


def test_accuracy_agreement_and_fire_rate_are_shares_of_the_questions() -> None:
    rows = pair(
        ((1.0, 0), (1.0, 0), NONE),
        ((1.0, 1), (0.0, 2), STEER),
        ((0.0, 1), (0.0, 2), UNKNOWN),
        ((0.0, 3), (1.0, 0), RELEASE),
        ((1.0, 0), (1.0, 0), NONE),
    )
    found = compare("t", rows)
    assert (found.n, found.untouched, found.gated, found.difference) == (5, 60.0, 60.0, 0.0)
    assert (found.agreement, found.fire_rate, found.released) == (40.0, 40.0, 20.0)
    assert found.fired_by == {"score": 1, "language_unknown": 1}
    assert found.languages == {"en": 3, "sw": 1, "und": 1}
    assert found.low < 0 < found.high
    assert found.fire_low < 40 < found.fire_high


def test_a_refused_question_is_wrong_and_chooses_nothing() -> None:
    found = compare("t", pair(((1.0, 0), (1.0, 0), REFUSE), ((1.0, 0), (1.0, 0), NONE)))
    assert (found.untouched, found.gated, found.agreement) == (100.0, 50.0, 50.0)
    assert found.fired_by == {"non_finite_activation": 1}


def test_a_question_that_was_too_long_is_left_out_and_counted() -> None:
    samples = [sample(0, 1.0, 0), sample(1, 1.0, 0, prompt="long")]
    rows, n_too_long = answered("t", samples, samples, {"p0": NONE}, {"long"})
    assert (len(rows), n_too_long) == (1, 1)
    assert compare("t", rows, n_too_long=1).n_too_long == 1


def test_nothing_that_fits_is_an_error_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"no question of `t` fits the context \(3 are too long\)"):
        compare("t", [], n_too_long=3)


def test_questions_are_paired_by_their_id_in_whatever_order() -> None:
    untouched = [sample(0, 1.0, 0), sample(1, 0.0, 1)]
    gated = [sample(1, 0.0, 1), sample(0, 1.0, 0)]
    rows, _ = answered("t", untouched, gated, {"p0": NONE, "p1": NONE}, ())
    assert all(row.same_choice and row.right_untouched == row.right_gated for row in rows)


def test_runs_over_different_questions_are_not_compared() -> None:
    with pytest.raises(ValueError, match="answered different questions"):
        answered("t", [sample(0, 1.0, 0)], [sample(1, 1.0, 0)], {}, ())


def test_the_first_of_several_filters_counts() -> None:
    samples = [sample(0, 1.0, 0), sample(0, 0.0, 1)]
    rows, _ = answered("t", samples, samples, {"p0": NONE}, ())
    assert [row.right_gated for row in rows] == [True]


def test_generated_answers_are_compared_as_texts() -> None:
    one = sample(0, 1.0, 0, metric="exact_match") | {"filtered_resps": ["42"]}
    other = one | {"filtered_resps": ["41"], "exact_match": 0.0}
    rows, _ = answered("t", [one], [other], {"p0": STEER}, ())
    assert (rows[0].same_choice, rows[0].right_untouched, rows[0].right_gated) == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [("bleu", 0.3, "counts none of acc, exact_match"), ("acc", 0.3, "is no right or wrong")],
)
def test_a_task_without_right_and_wrong_is_refused(metric: str, value: float, message: str) -> None:
    samples = [sample(0, value, 0, metric=metric)]
    with pytest.raises(ValueError, match=message):
        answered("t", samples, samples, {"p0": NONE}, ())


def test_a_gate_is_non_inferior_when_the_interval_excludes_the_margin() -> None:
    row = Answered("t", True, True, True, NONE)
    assert compare("t", [row] * 2000).is_non_inferior
    assert not compare("t", [row] * 20).is_non_inferior
    worse = row._replace(right_gated=False)
    assert not compare("t", [*[row] * 1900, *[worse] * 100]).is_non_inferior
    assert replace(compare("t", [row]), low=-0.5).is_non_inferior
