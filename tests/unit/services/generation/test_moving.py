"""Moves as the edits of a packed pass: every token by its own row's move, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from services.domain import Action
from services.generation.intervention import (
    Phase,
    Push,
    Span,
    ablation,
    add,
    down_to,
    push_everywhere,
    to_target,
)
from services.generation.moving import packed_edits
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope, Steering
from tests.unit.services.generation.rows import WIDTH, axis

STEERING = Steering(axis(0), layer=1, coefficient=2.0, typical_norm=1.0)


def of(*moves: Move) -> Treatment:
    return Treatment(Action.STEER, own=moves)


def run(treatments: list[Treatment], phase: Phase = Phase.PREFILL, n_tokens: int = 3):
    """What every edited block makes of a residual of ones."""
    residual = torch.ones(1, len(treatments) * n_tokens, WIDTH)
    edits = packed_edits(treatments, [Span(n_tokens, phase)] * len(treatments), residual.device)
    shape = (len(treatments), n_tokens, WIDTH)
    return {layer: edit(residual).reshape(shape) for layer, edit in edits.items()}


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tokens_side_by_side_each_get_their_own_form(dtype: torch.dtype) -> None:
    pushes = [Push(), add(3.0), to_target(2.0, 0.5), ablation(), down_to(-1.0)]
    drawn = torch.randn(2, 16, generator=torch.Generator().manual_seed(9))
    direction = drawn[0] / drawn[0].norm()
    # in every form there is something to do at such projections
    along = torch.tensor([7.0, 0.5, 1.0, -2.0, 3.0]).unsqueeze(1)
    rows = (drawn[1] + (along - drawn[1] @ direction) * direction).to(dtype).unsqueeze(0)
    treatments = [of(Move(0, direction, push, Scope.ALL)) for push in pushes]
    after = packed_edits(treatments, [Span(1, Phase.DECODE)] * 5, rows.device)[0](rows)
    for token, push in enumerate(pushes):
        alone = push_everywhere(rows[:, token : token + 1], direction, push)
        assert torch.equal(after[:, token : token + 1], alone)
    assert torch.equal(after[:, 0], rows[:, 0])
    assert not any(torch.equal(after[:, token], rows[:, token]) for token in range(1, 5))


def test_what_is_not_moved_stays_bit_for_bit_even_where_it_is_not_finite() -> None:
    rows = (
        torch.tensor([float("nan"), -0.0, float("inf"), 0.0, 1.0]).reshape(1, -1, 1).repeat(1, 1, 4)
    )
    spans = [Span(1, Phase.DECODE), Span(3, Phase.PREFILL), Span(1, Phase.DECODE)]
    last = Treatment(Action.STEER, replace(STEERING, scope=Scope.LAST))
    after = packed_edits([UNTOUCHED, last, UNTOUCHED], spans, rows.device)[1](rows)
    kept = [0, 1, 2, 4]
    assert torch.equal(after[:, kept].view(torch.int32), rows[:, kept].view(torch.int32))
    assert after[0, 3].tolist() == [2, 0, 0, 0]
