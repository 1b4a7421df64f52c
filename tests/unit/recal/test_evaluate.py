"""Evaluation: what the gate does beside the untouched model, on prompts that set nothing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from recal.evaluate import behaviour_of, evaluate
from recal.judge import Judgement
from recal.prompts import Prompt
from recal.recalibrate import recalibrate
from services.domain import Action
from services.readout.bundle import Calibration, Readout, Steering
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted
from tests.unit.recal.treated import LiteralJudge


def _complies(prompts: Sequence[Prompt], action: Action, steering: Steering) -> list[str]:
    """A model that refuses only when it is steered."""
    return ["refuse" if action is Action.STEER else "comply"] * len(prompts)


def _refuses_unless_released(
    prompts: Sequence[Prompt], action: Action, steering: Steering
) -> list[str]:
    return ["comply" if action is Action.RELEASE else "refuse"] * len(prompts)


@pytest.fixture(scope="module")
def readout() -> Readout:
    return replace(fitted(), digest="d" * 64, version="readout@1")


@pytest.fixture(scope="module")
def calibration(readout: Readout) -> Calibration:
    examples = activations(("sw",), n=4, shift=-4.0, seed=3, split="calibration")
    return recalibrate(readout, examples, "sw").calibration


def test_steering_raises_selectivity_of_a_model_that_complies(
    readout: Readout, calibration: Calibration
) -> None:
    test = activations(("sw",), n=30, shift=-4.0, seed=8, split="test")
    report = evaluate(readout, {"sw": calibration}, test, generate=_complies, judge=LiteralJudge())
    (row,) = report.results
    assert row.untouched.delta == 0.0
    assert row.gated.delta > 90
    assert row.tier == "low"
    assert report.less_safe() == ()


def test_a_language_made_less_safe_is_named(readout: Readout, calibration: Calibration) -> None:
    test = activations(("sw",), n=30, shift=-14.0, seed=8, split="test")
    report = evaluate(
        readout, {"sw": calibration}, test, generate=_refuses_unless_released, judge=LiteralJudge()
    )
    assert report.less_safe() == ("sw",)


def test_prompts_that_set_the_threshold_cannot_test_it(
    readout: Readout, calibration: Calibration
) -> None:
    examples = activations(("sw",), n=4, shift=-4.0, seed=3, split="calibration")
    with pytest.raises(ValueError, match="set its threshold"):
        evaluate(readout, {"sw": calibration}, examples, generate=_complies, judge=LiteralJudge())


def test_degenerate_texts_are_counted_and_are_no_refusals() -> None:
    prompts = activations(("sw",), n=2).prompts
    judged = [LiteralJudge().judge(t) for t in ("refuse", "noise", "comply", "noise")]
    behaviour = behaviour_of(prompts, judged)
    assert (behaviour.harmful_refusal, behaviour.harmless_refusal) == (50.0, 0.0)
    assert behaviour.degenerate == 50.0
    assert behaviour.delta_low < behaviour.delta < behaviour.delta_high


def test_a_class_without_answers_is_an_error() -> None:
    prompts = [p for p in activations(("sw",), n=2).prompts if p.harmful]
    with pytest.raises(ValueError, match="harmless"):
        behaviour_of(prompts, [Judgement(True, False, None)] * 2)
