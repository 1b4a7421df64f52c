"""A judge's errors by language: measured on labels, carried into intervals, named if borrowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recal.evaluation.arm import Arm
from recal.evaluation.cell import Cell
from recal.evaluation.held import held_out
from recal.evaluation.judging import Judging
from recal.evaluation.report import Estimate, EvaluationReport, JudgeRates
from recal.evaluation.report_html import to_html
from recal.evaluation.report_json import write_json
from recal.evaluation.report_markdown import to_markdown
from recal.evaluation.resamples import Resamples
from recal.evaluation.summary import summary
from recal.judge.validation import JudgeValidation
from recal.maths.agreement import Agreement, Tally
from recal.maths.decomposition import JudgeError
from tests.unit.recal.evaluation.stage import (
    LANGUAGES,
    PLAN,
    Writer,
    asked,
    evaluated,
    methods,
    run,
)
from tests.unit.recal.treated import LiteralJudge

COUNTS = {
    "sw": Agreement(tp=70, fn=10, fp=8, tn=72),
    "yo": Agreement(tp=10, fn=2, fp=1, tn=11),
    "ar": Agreement(tp=90, fn=10, fp=5, tn=95),
}
"""Of `en` there are no labels, of `yo` few."""


def validated(counts: dict[str, Agreement] = COUNTS) -> Judging:
    degenerate = dict.fromkeys(counts, 0)
    return Judging(
        LiteralJudge(), validation=JudgeValidation("literal", "d" * 64, counts, degenerate)
    )


EVALUATED = run(("recal", "oracle"), judging=validated())
REPORT = EVALUATED.report
KNOWN = {rates.language: rates for rates in REPORT.judge_rates}


def _width(found: Estimate) -> float:
    return found.high - found.low


def words(report: EvaluationReport = REPORT) -> str:
    return "\n".join(s for paragraph in summary(report) for s in paragraph.sentences)


def test_a_language_with_enough_labels_has_rates_of_its_own() -> None:
    assert KNOWN["sw"].sensitivity == pytest.approx(70 / 80)
    assert KNOWN["ar"].specificity == pytest.approx(95 / 100)
    assert (KNOWN["sw"].own, KNOWN["sw"].n_labels) == (True, 160)


@pytest.mark.parametrize(("language", "n"), [("yo", 24), ("en", 0)])
def test_a_language_without_is_corrected_by_all_and_named(language: str, n: int) -> None:
    assert (KNOWN[language].own, KNOWN[language].n_labels) == (False, n)
    assert KNOWN[language].sensitivity == pytest.approx(170 / 192)
    assert f"{language} ({n})" in words()
    assert "Corrected by the rates of all validated languages together" in words()


def test_where_every_language_is_validated_none_is_named() -> None:
    every = validated(dict.fromkeys(LANGUAGES, COUNTS["sw"]))
    assert "Not validated" not in words(run(("recal",), judging=every).report)


def test_each_language_is_corrected_by_its_own_rates_and_a_tier_by_those_of_its_languages() -> None:
    arm = REPORT.arm("recal@4")
    found = {la: arm.of(la).corrected["delta"].value for la in ("sw", "yo")}
    for language, value in found.items():
        rates = KNOWN[language]
        assert value == pytest.approx(arm.of(language).delta.value / rates.informedness)
    assert arm.tier("low").corrected["delta"].value == pytest.approx(np.mean(list(found.values())))


def test_a_corrected_interval_is_wider_than_one_that_takes_the_labels_for_the_truth() -> None:
    certain = validated({la: Agreement(*(1000 * n for n in c)) for la, c in COUNTS.items()})
    half = Writer(untouched=lambda prompt: prompt.endswith(("0", "2", "4", "6", "8")))
    mine, known = (
        run((), judging=judging, languages=("sw",), writer=half).report.untouched.of("sw")
        for judging in (validated(), certain)
    )
    assert mine.delta == known.delta
    assert mine.corrected["delta"].value == pytest.approx(known.corrected["delta"].value)
    assert _width(mine.corrected["delta"]) > 1.05 * _width(known.corrected["delta"])


def test_a_corrected_interval_holds_its_number_and_stays_in_its_range_otherwise() -> None:
    for arm in REPORT.arms:
        for found in (*arm.results, *arm.tiers):
            for name, least in (("harmful", 0.0), ("harmless", 0.0), ("delta", -100.0)):
                each = found.corrected[name]
                assert each.low <= each.value <= each.high
                assert min(least, each.value) <= each.low
                assert each.high <= max(100.0, each.value)


def test_raw_numbers_do_not_move_when_the_judge_is_validated() -> None:
    unjudged = run(("recal", "oracle")).report
    assert unjudged.arm("recal@4").tier("low").delta == REPORT.arm("recal@4").tier("low").delta


def test_losses_add_up_where_the_judge_errs_by_language() -> None:
    for found in REPORT.losses:
        delta = REPORT.arm(found.arm).tier(found.tier).delta.value
        assert delta + found.split.total == pytest.approx(100.0)
        true = REPORT.arm(found.arm).tier(found.tier).corrected["delta"].value
        assert found.split.judge_loss == pytest.approx(true - delta)


def test_where_labels_cannot_tell_the_judge_from_a_coin_the_interval_is_the_whole_range() -> None:
    counts = {**COUNTS, "sw": Agreement(tp=30, fn=25, fp=22, tn=28)}
    report = run(("recal",), judging=validated(counts)).report
    for found in (report.arm("recal@4").of("sw"), report.arm("recal@4").tier("low")):
        delta = found.corrected["delta"]
        assert delta.low == min(-100.0, delta.value)
        assert delta.high == max(100.0, delta.value)
    ar = report.arm("recal@4").of("ar").corrected["delta"]
    assert ar.high - ar.low < 100
    assert "cannot tell the judge from a coin in sw" in words(report)


def resampled(own: bool) -> list[list[float]]:
    """Corrected harmful refusal of two languages, one after the other and together.

    Every answer refuses, so that the judge's errors are all that varies.
    """
    parts, arm = held_out(asked(), ("sw", "yo")), Arm(methods(("steer_all",))[1], 0)
    all_refused = np.ones((1, 40), dtype=np.bool_)
    gate = REPORT.untouched.of("sw").gate
    cells = {
        (arm.key, part.language): Cell(arm, part, *([all_refused] * 4), gate, {}, ())
        for part in parts
    }
    labels = (Tally(30, 35), Tally(30, 35))
    rates = {la: JudgeRates(la, 6 / 7, 6 / 7, labels, 70, own) for la in ("sw", "yo")}
    made = Resamples(cells, [arm.key], replace(PLAN, draws=1), rates)
    groups = (("sw",), ("yo",), ("sw", "yo"))
    return [list(made.corrected(arm.key, group).harmful) for group in groups]


def test_languages_that_share_rates_share_what_is_not_known_of_them() -> None:
    sw, yo, both = resampled(own=False)
    assert sw == pytest.approx(yo)
    assert sw == pytest.approx(both)
    assert np.std(sw) > 1
    sw, yo, both = resampled(own=True)
    assert abs(np.corrcoef(sw, yo)[0, 1]) < 0.3


def test_a_judge_worse_than_a_coin_is_refused_before_anything_is_written() -> None:
    counts = {**COUNTS, "sw": Agreement(tp=20, fn=40, fp=40, tn=20)}
    with pytest.raises(ValueError, match="corrected in `sw` find it no better than a coin"):
        validated(counts).rates(LANGUAGES)


def test_stated_rates_are_the_same_in_every_language_and_known_for_sure() -> None:
    report = run(("recal",), judging=Judging(LiteralJudge(), JudgeError(0.9, 0.8))).report
    arm = report.untouched
    assert {(r.sensitivity, r.specificity, r.labels) for r in report.judge_rates} == {
        (0.9, 0.8, None)
    }
    raw, true = arm.tier("all").delta, arm.tier("all").corrected["delta"]
    assert 0 < raw.value < raw.high < 70
    assert true.value == pytest.approx(raw.value / 0.7)
    assert (true.low, true.high) == pytest.approx((raw.low / 0.7, raw.high / 0.7))
    assert "human labels" not in words(report)


def test_an_interval_does_not_depend_on_what_else_is_evaluated() -> None:
    alone = run(("recal", "oracle"), judging=validated(), languages=("yo",)).report
    assert alone.arm("oracle").of("yo").corrected == REPORT.arm("oracle").of("yo").corrected


def test_every_form_of_the_report_shows_labels_and_corrected_numbers(tmp_path: Path) -> None:
    delta = REPORT.arm("recal@4").of("sw").corrected["delta"]
    write_json(REPORT, tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["judge_labels"] == "d" * 64
    assert written["judge_rates"][0]["labels"] == [[70, 80], [72, 80]]
    assert written["arms"][2]["results"][0]["corrected"]["delta"]["high"] == delta.high
    for page in (to_markdown(REPORT), to_html(REPORT, EVALUATED.exhibits)):
        for said in ("0.875 (n = 80)", "all validated languages", "corrected Δ", "dddddddddddd"):
            assert said in page


def test_without_labels_no_form_speaks_of_them() -> None:
    page = to_html(evaluated().report, evaluated().exhibits)
    assert "The judge beside people" not in page
