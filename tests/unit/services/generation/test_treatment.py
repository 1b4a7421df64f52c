from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.domain import Action
from services.generation.intervention import Phase, Push, Span, ablation, add, down_to, to_target
from services.generation.treatment import UNTOUCHED, Move, Treatment, packed_edits
from services.readout.bundle import (
    Release,
    ReleaseForm,
    Scope,
    SteerForm,
    Steering,
    SteeringStatistics,
)

WIDTH = 4


def axis(i: int) -> torch.Tensor:
    return torch.eye(WIDTH)[i]


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


def of(*moves: Move) -> Treatment:
    return Treatment(Action.STEER, own=moves)


def run(treatments: list[Treatment], phase: Phase = Phase.PREFILL, n_tokens: int = 3):
    """What every edited block makes of a residual of ones."""
    residual = torch.ones(1, len(treatments) * n_tokens, WIDTH)
    edits = packed_edits(treatments, [Span(n_tokens, phase)] * len(treatments), residual.device)
    shape = (len(treatments), n_tokens, WIDTH)
    return {layer: edit(residual).reshape(shape) for layer, edit in edits.items()}


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


def test_nothing_to_do_is_no_edit():
    last = Treatment(Action.STEER, replace(STEERING, scope=Scope.LAST))
    assert run([UNTOUCHED, UNTOUCHED]) == {}
    assert run([last], Phase.DECODE, n_tokens=1) == {}
    assert set(run([last])) == {1}


def test_a_treatment_may_act_on_several_blocks_and_each_row_on_others():
    both = of(Move(0, axis(0), add(1.0), Scope.ALL), Move(2, axis(1), add(3.0), Scope.ALL))
    one = of(Move(2, axis(2), ablation(), Scope.LAST))
    found = run([both, one, UNTOUCHED])
    assert set(found) == {0, 2}
    assert found[0][:, :, 0].tolist() == [[2, 2, 2], [1, 1, 1], [1, 1, 1]]
    assert found[2][:, :, 1].tolist() == [[4, 4, 4], [1, 1, 1], [1, 1, 1]]
    assert found[2][:, :, 2].tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1]]


def test_moves_at_the_same_block_follow_one_another():
    add_then_ablate = (
        Move(1, axis(0), add(5.0), Scope.ALL),
        Move(1, axis(0), ablation(), Scope.LAST),
    )
    found = run([of(*add_then_ablate), of(*add_then_ablate[::-1]), UNTOUCHED])
    assert found[1][:, :, 0].tolist() == [[6, 6, 0], [6, 6, 5], [1, 1, 1]]


def test_rows_of_two_readouts_at_one_block_keep_their_own_directions():
    other = replace(STEERING, direction=axis(3), coefficient=7.0)
    found = run([Treatment(Action.STEER, each) for each in (STEERING, other, STEERING)])
    assert found[1][:, -1, 0].tolist() == [3, 1, 3]
    assert found[1][:, -1, 3].tolist() == [1, 8, 1]
