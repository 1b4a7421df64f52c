"""Own readouts end to end: fitted on what nobody learned nor scores, and held to their bar."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.science import owns
from benchmarks.science.prompt_sets import LOW
from recal.evaluation.report import ALL_LANGUAGES, Comparison, Estimate, EvaluationReport
from tests.unit.benchmarks.science.synthetic_reading import reading
from tests.unit.recal.evaluation.stage import PLAN, Writer, run

FEW = ("sw", "yo", "ar")


def report(names: tuple[str, ...] = ("untouched", "recal", "translate_train")) -> EvaluationReport:
    plan = replace(PLAN, reference="recal@4")
    return run(names, writer=Writer(lambda prompt: False), plan=plan, languages=FEW).report


REPORT = report()


def with_difference(value: float, low: float, high: float) -> EvaluationReport:
    """The report, as if Δ of recal@4 minus that of translate_train@4 were this."""

    def changed(each: Comparison) -> Comparison:
        mine = (each.other, each.tier) == ("translate_train@4", ALL_LANGUAGES)
        return replace(each, difference=Estimate(value, low, high)) if mine else each

    return replace(REPORT, comparisons=tuple(map(changed, REPORT.comparisons)))


def test_translations_are_of_the_split_that_no_organism_learned_and_nobody_is_scored_on() -> None:
    found = owns.translations(reading())
    assert {p.split for p in found.prompts} == {"validation"}


def test_every_translation_comes_with_what_was_translated_in_the_readouts_own_languages() -> None:
    read = reading()
    found = owns.translations(read)
    assert {p.language for p in found.prompts} == {*LOW, *read.sources}
    originals = {p.parallel_id for p in found.prompts if p.language in read.sources}
    assert {p.parallel_id for p in found.prompts if p.language in LOW} <= originals


def test_the_rise_is_over_the_reference_and_its_interval_is_turned_with_it() -> None:
    assert owns.bar_of("made up", with_difference(-6.0, -9.0, -1.5)).measured.startswith(
        "+6.0 (+1.5 to +9.0)"
    )


@pytest.mark.parametrize(("difference", "met"), [(-5.0, True), (-4.9, False), (5.0, False)])
def test_five_points_are_asked_of_it(difference: float, met: bool) -> None:
    assert owns.bar_of("made up", with_difference(difference, -10.0, 10.0)).met is met


def test_languages_whose_own_readout_is_no_better_are_named() -> None:
    # here the own ones rank by the same axis as the frozen one, and are no better anywhere
    assert owns.bar_of("made up", REPORT).measured.endswith("frozen in sw yo ar")
    own = REPORT.arm("translate_train@4")
    better = [replace(r, gate=replace(r.gate, steer_thresholds=())) for r in own.results[1:]]
    arm = replace(own, results=(own.results[0], *better))
    assert owns.keep_frozen(arm) == ["sw"]
    arms = tuple(arm if each.key == arm.key else each for each in REPORT.arms)
    assert owns.bar_of("made up", replace(REPORT, arms=arms)).measured.endswith("frozen in sw")


def test_without_the_arm_there_is_no_bar() -> None:
    with pytest.raises(ValueError, match="translate_train@4"):
        owns.bar_of("made up", report(("untouched", "recal")))
