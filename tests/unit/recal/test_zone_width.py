"""The zone's width is chosen from what actions do, and the readout keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from recal.judge import OrganismJudge
from recal.maths.two_class import FloatArray
from recal.maths.zone_width import WidthChoice
from recal.organism.corpus import load_language
from recal.prompts import Prompt
from recal.recalibrate import RecalibrationPlan, recalibrate, zone_width_of
from recal.trials import Report, TrialRun
from recal.zone_width import (
    ZonePlan,
    choose_zone_width,
    observe,
    width_from_development,
    with_zone_width,
)
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Calibration, Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted

LANGUAGES = ("ar", "th")
REFUSAL = load_language("ar").refusal


@pytest.fixture(scope="module")
def readout() -> Readout:
    return replace(fitted(), digest="d" * 64, version="readout@1")


class Model:
    """Refuses what it is steered to, never what is released, and of the rest what it wants."""

    def __init__(self, untouched: bool) -> None:
        self.untouched = untouched
        self.asked: list[tuple[str, int, Action]] = []

    def __call__(self, prompts: Sequence[Prompt], action: Action) -> list[bool]:
        self.asked.append((prompts[0].language, len(prompts), action))
        if action is Action.NONE:
            return [self.untouched] * len(prompts)
        return [action is Action.STEER] * len(prompts)


def calibrations(readout: Readout, *, draws: int = 2) -> dict[str, list[Calibration]]:
    made: dict[str, list[Calibration]] = {}
    for language in LANGUAGES:
        for seed in range(draws):
            few = activations(
                (language,), n=1, shift=-2.0, seed=seed, good_layer=0, split="calibration"
            )
            plan = RecalibrationPlan(estimator="midpoint")
            made.setdefault(language, []).append(
                recalibrate(readout, few, language, plan=plan).calibration
            )
    return made


def test_every_prompt_is_answered_once_under_each_action(readout: Readout) -> None:
    model = Model(untouched=False)
    prompts = activations(LANGUAGES, n=20, shift=-2.0, seed=40, split="validation")
    choose_zone_width(readout, prompts, calibrations(readout, draws=3), refuses=model)
    assert sorted(model.asked, key=str) == sorted(
        ((la, 40, a) for la in LANGUAGES for a in (Action.NONE, Action.STEER, Action.RELEASE)),
        key=str,
    )


def test_a_model_that_refuses_everything_is_left_alone_where_the_gate_is_unsure(
    readout: Readout,
) -> None:
    # the layer that is read separates badly here, so that a narrow zone releases harmful prompts
    prompts = activations(LANGUAGES, n=60, shift=-2.0, seed=40, good_layer=0, split="validation")
    made, model = calibrations(readout), Model(untouched=True)
    safe = choose_zone_width(readout, prompts, made, refuses=model, tolerance=2.0)
    free = choose_zone_width(readout, prompts, made, refuses=model, tolerance=100.0)
    assert safe.is_safe
    assert safe.c > free.c


class Answers:
    """Refuses what is steered, answers what is released, and refuses the rest if it wants to."""

    def __init__(self, untouched: bool) -> None:
        self.untouched = untouched
        self.actions: list[Action] = []

    def texts(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment], *, report: Report = print
    ) -> list[str]:
        self.actions += [treatment.action for treatment in treatments]
        refused = {Action.NONE: self.untouched, Action.STEER: True, Action.RELEASE: False}
        return [REFUSAL if refused[each.action] else "Here you are." for each in treatments]

    def first_token_logits(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]
    ) -> FloatArray:
        raise NotImplementedError


def _chosen(readout: Readout, model: Answers, plan: ZonePlan, *, good_layer: int) -> WidthChoice:
    examples = activations(LANGUAGES, n=30, shift=-2.0, seed=1, good_layer=good_layer)
    observed = activations(
        LANGUAGES, n=40, shift=-2.0, seed=2, good_layer=good_layer, split="validation"
    )
    run = TrialRun(model, OrganismJudge())
    return width_from_development(readout, examples, observed, LANGUAGES, run=run, plan=plan)


def test_development_languages_choose_the_width_by_what_a_judge_says_of_texts(
    readout: Readout,
) -> None:
    model = Answers(untouched=True)
    wide = _chosen(readout, model, ZonePlan(k=2, draws=5), good_layer=0)
    assert model.actions.count(Action.RELEASE) == model.actions.count(Action.STEER) == 160
    # where the gate sees well, false refusals can be taken away without losing a true one
    narrow = _chosen(readout, Answers(untouched=True), ZonePlan(k=2, draws=5), good_layer=1)
    assert wide.c > narrow.c
    assert narrow.is_safe


def test_as_many_examples_are_drawn_as_there_are(readout: Readout) -> None:
    plan = ZonePlan(k=1000, draws=1)
    assert _chosen(readout, Answers(untouched=False), plan, good_layer=1).is_safe


def test_every_draw_of_examples_has_a_say(readout: Readout) -> None:
    one, more = (
        _chosen(readout, Answers(untouched=True), ZonePlan(k=1, draws=n), good_layer=0)
        for n in (1, 6)
    )
    assert one.curve != more.curve


@pytest.mark.parametrize("field", ["k", "draws", "n"])
def test_a_plan_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"`{field}` is 0"):
        replace(ZonePlan(), **{field: 0})


def test_a_prompt_that_set_a_threshold_cannot_choose_the_zone(readout: Readout) -> None:
    made = calibrations(readout, draws=1)
    examples = activations(("ar",), n=1, shift=-2.0, seed=0, good_layer=0, split="calibration")
    with pytest.raises(ValueError, match=r"2 prompt\(s\) set a threshold"):
        observe(readout, examples, "ar", made["ar"], refuses=Model(untouched=False))


def test_progress_is_told_by_language(readout: Readout) -> None:
    told = []
    prompts = activations(LANGUAGES, n=5, shift=-2.0, seed=40, split="validation")
    choose_zone_width(
        readout,
        prompts,
        calibrations(readout, draws=1),
        refuses=Model(untouched=False),
        report=lambda *step: told.append(step),
    )
    assert told == [("ar", 1, 2), ("th", 2, 2)]


def test_the_readout_keeps_the_width_and_is_another_one(readout: Readout) -> None:
    prompts = activations(LANGUAGES, n=5, shift=-2.0, seed=40, split="validation")
    choice = choose_zone_width(
        readout,
        prompts,
        calibrations(readout, draws=1),
        refuses=Model(untouched=False),
        widths=(3.0,),
    )
    kept = with_zone_width(readout, choice)
    assert zone_width_of(kept) == 3.0
    assert (kept.digest, kept.version) == ("", "")
