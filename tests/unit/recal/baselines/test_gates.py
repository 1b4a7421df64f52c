"""The baselines that differ in who decides: nobody, a gate, the labels."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from recal.baselines.gate_addition import GateAddition
from recal.baselines.oracle import OracleGate
from recal.baselines.ungated import (
    ungated_ablation,
    ungated_addition,
    ungated_release,
    untouched,
)
from recal.maths.two_class import FloatArray
from recal.method import Examples, Method, Questions
from services.domain import Action
from services.generation.intervention import ablation, add
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Release, ReleaseForm, Scope, Steering, Thresholds
from services.readout.place import Place
from tests.unit.recal.questions import asked, treated
from tests.unit.recal.synthetic import activations

KNOWN = activations(("sw",), n=3)
PROMPTS = KNOWN.prompts
STEERING = Steering(
    torch.eye(4)[0],
    layer=2,
    coefficient=3.0,
    typical_norm=1.0,
    scope=Scope.LAST,
    release=Release(ReleaseForm.SURGICAL, Scope.LAST, layer=1, direction=torch.eye(4)[1]),
)


@dataclass(frozen=True)
class Gate:
    """Steers the first prompt of each class and releases the others."""

    name: str = "gate"
    title: str = "gate"
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        return language == "sw"

    def is_frozen(self, language: str) -> bool:
        return language == "sw"

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        return questions.residuals(Place(1, "last"))[:, 0]

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        return Thresholds(2.0, 1.0)

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        return [
            Treatment(Action.STEER if each.endswith("0") else Action.RELEASE, STEERING)
            for each in questions.ids
        ]


def pushes(method: Method) -> list[tuple[object, ...]]:
    """Layer, push and scope of every prompt's one move; empty where it is left alone."""
    return [
        tuple((m.layer, m.push, m.scope) for m in each.moves) for each in treated(method, KNOWN)
    ]


STEERED = ((2, add(3.0), Scope.LAST),)
ABLATED = ((2, ablation(), Scope.ALL),)
CUT = ((1, ablation(), Scope.LAST),)
EVERY = (
    untouched(),
    ungated_addition(STEERING),
    ungated_release(STEERING),
    ungated_ablation(STEERING),
    GateAddition(Gate()),
    OracleGate(STEERING),
)


def test_untouched_touches_nothing() -> None:
    assert treated(untouched(), KNOWN) == [UNTOUCHED] * len(PROMPTS)


def test_ungated_addition_steers_every_prompt() -> None:
    assert pushes(ungated_addition(STEERING)) == [STEERED] * len(PROMPTS)


def test_ungated_release_releases_every_prompt_by_our_own_form() -> None:
    assert pushes(ungated_release(STEERING)) == [CUT] * len(PROMPTS)


def test_ungated_ablation_removes_harmfulness_everywhere_whatever_our_own_release_is() -> None:
    method = ungated_ablation(STEERING)
    assert pushes(method) == [ABLATED] * len(PROMPTS)
    assert torch.equal(treated(method, KNOWN)[0].moves[0].direction, STEERING.direction)


def test_gate_and_addition_steer_as_the_gate_says_and_never_release() -> None:
    found = pushes(GateAddition(Gate()))
    assert found == [STEERED if p.id.endswith("0") else () for p in PROMPTS]
    assert {STEERED, ()} == set(found)


def test_gate_and_addition_decide_by_the_gates_own_scores_thresholds_and_examples() -> None:
    gate, method = Gate(), GateAddition(Gate())
    assert method.thresholds("sw", None) == gate.thresholds("sw", None)
    assert (method.scores(asked(KNOWN), None) == gate.scores(asked(KNOWN), None)).all()
    assert [method.needs_examples(language) for language in ("sw", "en")] == [True, False]


def test_the_oracle_steers_harmful_prompts_and_releases_harmless_ones_as_we_do() -> None:
    assert pushes(OracleGate(STEERING)) == [STEERED if p.harmful else CUT for p in PROMPTS]


@pytest.mark.parametrize("method", EVERY, ids=lambda method: method.name)
def test_every_method_gives_one_treatment_per_prompt_and_none_for_none(method: Method) -> None:
    assert len(treated(method, KNOWN)) == len(PROMPTS)
    assert treated(method, KNOWN.subset([])) == []


def test_the_oracle_alone_is_a_bound() -> None:
    assert [method.name for method in EVERY if method.sees_labels] == ["oracle"]


def test_addition_only_is_held_against_whatever_score_its_gate_is() -> None:
    gated = GateAddition(Gate())
    assert (gated.is_frozen("sw"), gated.is_frozen("yo")) == (True, False)
