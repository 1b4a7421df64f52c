"""The zone's width is chosen from what actions do, and the readout keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from recal.prompts import Prompt
from recal.recalibrate import RecalibrationPlan, recalibrate, zone_width_of
from recal.zone_width import choose_zone_width, observe, with_zone_width
from services.domain import Action
from services.readout.bundle import Calibration, Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted

LANGUAGES = ("ar", "th")


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
