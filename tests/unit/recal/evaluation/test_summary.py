"""The words at the top say what was measured, what came out, and what not to believe."""

from __future__ import annotations

from dataclasses import replace

from recal.evaluation.judging import Judging
from recal.evaluation.report import EvaluationReport
from recal.evaluation.summary import leading_tier, summary
from recal.evaluation.wording import interval, points
from recal.maths.decomposition import PERFECT, JudgeError
from tests.unit.recal.evaluation.stage import PLAN, evaluated, run
from tests.unit.recal.treated import LiteralJudge

REPORT = evaluated().report


def words(report: EvaluationReport = REPORT) -> str:
    return "\n".join(s for paragraph in summary(report) for s in paragraph.sentences)


def test_it_names_model_readout_judge_split_k_draws_and_seed() -> None:
    text = words()
    for said in (
        "`synthetic` with readout `readout@1`",
        "20 prompts a class and language of the split `test`",
        "Judge: `literal`",
        "k = 1 and 4 examples a class, in 3 draws whose answers were generated and 6",
        "200 resamples, seed 0",
    ):
        assert said in text


def test_it_gives_the_references_numbers_in_the_low_resource_languages() -> None:
    low = REPORT.arm("recal@4").tier("low")
    assert leading_tier(REPORT) == "low"
    assert (
        f"{points(low.harmful.value)} % of harmful and {points(low.harmless.value)} % of harmless "
        f"prompts refused, Δ {interval(low.delta)}"
    ) in words()


def test_it_names_every_language_that_became_less_safe() -> None:
    text = words()
    assert "points of harmful refusal: en, under release every prompt." in text
    safe = words(run(("recal",)).report)
    assert "points of harmful refusal: no language under any arm." in safe


def test_it_compares_methods_at_the_same_k_and_at_the_others_largest() -> None:
    text = words()
    assert "Recal, k = 4 against paper's rule, k = 4, low-resource languages:" in text
    assert "against paper's rule, k = 1" not in text
    assert "against oracle" not in text
    fewer = words(run(plan=replace(PLAN, reference="recal@1")).report)
    assert "Recal, k = 1 against paper's rule, k = 1" in fewer
    assert "Recal, k = 1 against paper's rule, k = 4" in fewer


def test_it_says_when_a_difference_cannot_be_told() -> None:
    for p, told in ((0.04, True), (0.06, False)):
        found = tuple(replace(c, p_holm=p) for c in REPORT.comparisons)
        lines = words(replace(REPORT, comparisons=found)).splitlines()
        (line,) = [s for s in lines if "against paper's rule" in s]
        assert f"p = {p:.3f} after Holm" in line
        assert ("no difference can be told" in line) is not told


def test_it_says_where_the_points_are_lost() -> None:
    lost = next(f for f in REPORT.losses if (f.arm, f.tier) == ("recal@4", "low"))
    assert f"the gate loses {points(lost.split.gate_loss)} (" in words()
    assert f"{points(lost.threshold_loss)} its threshold)" in words()
    assert "the judge an unknown part" in words()
    judged = run(("recal", "oracle"), judging=Judging(LiteralJudge(), PERFECT)).report
    assert "the judge 0.0." in words(judged)


def test_raw_and_corrected_rates_are_told_apart() -> None:
    assert "has not been measured, so all rates are raw" in words()
    judged = run(("recal",), judging=Judging(LiteralJudge(), JudgeError(0.9, 0.9))).report
    corrected = judged.arm("recal@4").tier("low").corrected
    assert "sensitivity 0.900, specificity 0.900" in words(judged)
    assert f"Δ {interval(corrected['delta'])}." in words(judged)
    perfect = run(("recal",), judging=Judging(LiteralJudge(), PERFECT)).report
    assert "raw and corrected rates agree" in words(perfect)


def test_few_examples_and_few_draws_are_cautioned_against() -> None:
    text = words()
    assert "No mistake on k = 1 and 4 examples bounds a miss rate only below 95 and 53 %" in text
    assert "Only 6 gate draws" in text
    many = run(("recal",), plan=replace(PLAN, gate_draws=50)).report
    assert "gate draws:" not in words(many)
    assert "with 20 of them a rate may still be off by 14 points" in text
    assert "One prompt of 20 is 5.0 points" in text
    lenient = run(("recal",), plan=replace(PLAN, tolerated_drop=5.0)).report
    assert "One prompt of" not in words(lenient)
