"""The baselines that differ in who decides: nobody, a gate, the labels."""

import pytest
import torch

from recal.baselines.gate_addition import GateAddition
from recal.baselines.method import Method
from recal.baselines.oracle import OracleGate
from recal.baselines.ungated_ablation import UngatedAblation
from recal.baselines.ungated_addition import UngatedAddition
from recal.baselines.untouched import Untouched
from services.domain import Action
from services.generation.intervention import ablation, add
from services.generation.treatment import UNTOUCHED
from services.readout.bundle import Release, ReleaseForm, Scope, Steering
from tests.unit.recal.synthetic import activations

PROMPTS = activations(("en", "sw"), n=3).prompts
STEERING = Steering(
    torch.eye(4)[0],
    layer=2,
    coefficient=3.0,
    typical_norm=1.0,
    scope=Scope.LAST,
    release=Release(ReleaseForm.SURGICAL, Scope.LAST, layer=1, direction=torch.eye(4)[1]),
)


def pushes(method: Method) -> list[tuple[object, ...]]:
    """Layer, push and scope of every prompt's one move; empty where it is left alone."""
    return [
        tuple((m.layer, m.push, m.scope) for m in each.moves) for each in method.treatments(PROMPTS)
    ]


def gate(prompts):
    return [Action.STEER if p.id.endswith("0") else Action.RELEASE for p in prompts]


STEERED = ((2, add(3.0), Scope.LAST),)
ABLATED = ((2, ablation(), Scope.ALL),)
CUT = ((1, ablation(), Scope.LAST),)


def test_untouched_touches_nothing() -> None:
    assert Untouched().treatments(PROMPTS) == [UNTOUCHED] * len(PROMPTS)


def test_ungated_addition_steers_every_prompt() -> None:
    assert pushes(UngatedAddition(STEERING)) == [STEERED] * len(PROMPTS)


def test_ungated_ablation_removes_harmfulness_everywhere_whatever_our_own_release_is() -> None:
    method = UngatedAblation(STEERING)
    assert pushes(method) == [ABLATED] * len(PROMPTS)
    assert torch.equal(method.treatments(PROMPTS)[0].moves[0].direction, STEERING.direction)


def test_gate_and_addition_steer_as_the_gate_says_and_never_release() -> None:
    found = pushes(GateAddition(STEERING, gate))
    assert found == [STEERED if p.id.endswith("0") else () for p in PROMPTS]
    assert {STEERED, ()} == set(found)


def test_a_gate_must_decide_on_every_prompt() -> None:
    with pytest.raises(ValueError, match="zip"):
        GateAddition(STEERING, lambda prompts: [Action.STEER]).treatments(PROMPTS)


def test_the_oracle_steers_harmful_prompts_and_releases_harmless_ones_as_we_do() -> None:
    assert pushes(OracleGate(STEERING)) == [STEERED if p.harmful else CUT for p in PROMPTS]


@pytest.mark.parametrize(
    "method",
    [
        Untouched(),
        UngatedAddition(STEERING),
        UngatedAblation(STEERING),
        GateAddition(STEERING, gate),
        OracleGate(STEERING),
    ],
    ids=lambda method: method.name,
)
def test_every_method_gives_one_treatment_per_prompt_and_none_for_none(method: Method) -> None:
    assert len(method.treatments(PROMPTS)) == len(PROMPTS)
    assert method.treatments([]) == []
