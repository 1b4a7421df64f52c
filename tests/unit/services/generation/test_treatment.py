from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.domain import Action
from services.generation.intervention import Push, ablation, add, down_to, to_target
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import (
    Release,
    ReleaseForm,
    Scope,
    SteerForm,
    Steering,
    SteeringStatistics,
)
from tests.unit.services.generation.rows import axis

STEERING = Steering(
    axis(0),
    layer=1,
    coefficient=2.0,
    typical_norm=1.0,
    statistics=SteeringStatistics(target=5.0, centre=-1.0, gap=6.0),
)
OWN = Release(ReleaseForm.SURGICAL, Scope.LAST, layer=3, direction=axis(1))


def move(treatment: Treatment) -> Move:
    (only,) = treatment.moves
    return only


def test_steering_adds_by_default_at_the_readouts_block():
    found = move(Treatment(Action.STEER, STEERING))
    assert (found.layer, found.push, found.scope) == (1, add(2.0), Scope.LAST_THEN_DECODE)


def test_steering_goes_to_the_target_where_the_readout_says_so():
    steering = replace(STEERING, form=SteerForm.TO_TARGET, coefficient=0.5, scope=Scope.LAST)
    found = move(Treatment(Action.STEER, steering))
    assert (found.push, found.scope) == (to_target(5.0, 0.5), Scope.LAST)


def test_releasing_ablates_everywhere_by_default():
    found = move(Treatment(Action.RELEASE, STEERING))
    assert (found.layer, found.push, found.scope) == (1, ablation(), Scope.ALL)
    assert torch.equal(found.direction, axis(0))


def test_releasing_brings_down_to_the_harmless_centre_where_the_readout_says_so():
    release = Release(ReleaseForm.AFFINE, Scope.LAST_THEN_DECODE, centre=-1.0)
    found = move(Treatment(Action.RELEASE, replace(STEERING, release=release)))
    assert (found.push, found.scope) == (down_to(-1.0), Scope.LAST_THEN_DECODE)


def test_surgical_releasing_has_a_block_and_a_direction_of_its_own():
    found = move(Treatment(Action.RELEASE, replace(STEERING, release=OWN)))
    assert (found.layer, found.push, found.scope) == (3, ablation(), Scope.LAST)
    assert torch.equal(found.direction, axis(1))


def test_a_release_that_does_nothing_leaves_the_model_untouched():
    nothing = replace(STEERING, release=Release(ReleaseForm.NOTHING))
    assert Treatment(Action.RELEASE, nothing).acting is None
    assert Treatment(Action.RELEASE, STEERING).acting is not None


def test_no_action_needs_no_steering_and_leaves_one_unused():
    assert UNTOUCHED.moves == Treatment(Action.NONE, STEERING).moves == ()


def test_an_action_needs_a_steering_or_moves_of_its_own():
    mine = Move(2, axis(2), add(1.0), Scope.ALL)
    assert Treatment(Action.STEER, own=(mine,)).moves == (mine,)
    assert Treatment(Action.STEER, STEERING, own=(mine,)).moves == (mine,)
    with pytest.raises(ValueError, match="`steer` needs a readout's steering"):
        Treatment(Action.STEER)
    with pytest.raises(ValueError, match="`none` leaves the model alone"):
        Treatment(Action.NONE, own=(mine,))


def test_refuse_never_reaches_generation():
    with pytest.raises(ValueError, match="`refuse` is answered with the fixed refusal"):
        Treatment(Action.REFUSE, STEERING)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"layer": -1}, "there is no block -1"),
        ({"direction": 2 * axis(0)}, "has norm 2"),
        ({"push": Push(shift=float("nan"))}, "must be finite"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(broken: dict[str, object], words: str):
    whole = {"layer": 1, "direction": axis(0), "push": add(1.0), "scope": Scope.ALL}
    Move(**whole)
    with pytest.raises(ValueError, match=words):
        Move(**whole | broken)
