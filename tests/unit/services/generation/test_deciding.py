import math
from collections.abc import Sequence

import pytest
import torch

from services.backbone.load import Backbone
from services.domain import Action
from services.errors import ServiceError, ServiceUnavailable
from services.generation.decode import Batch
from services.generation.intervention import add
from services.generation.packed import Chunk, PackedPass
from services.generation.row import Row
from services.generation.slabs import Held
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope
from tests.unit.services.generation.deciders import REFUSE, STEER, Decider, choices_of
from tests.unit.services.generation.rows import every_form, tokens_of
from tests.unit.services.tiny import tiny_readout


def fused_tokens(batch: Batch, rows: list[Row]) -> dict[Row, list[int]]:
    """Decide, then run to the end."""
    tokens = dict(zip(rows, ([token] for token in batch.admit(rows)), strict=True))
    for row, (first,) in tokens.items():
        assert isinstance(first, int)
        row.accept(first)
    while batch.rows:
        for row, token in zip(batch.rows, batch.advance(), strict=True):
            tokens[row].append(token)
            row.accept(token)
        batch.keep([row for row in batch.rows if row.finish is None])
    return tokens


@pytest.mark.parametrize("reading", ["last", "instruction", "mean"])
@pytest.mark.parametrize("acts_at", [0, 1, 2, 3])
def test_a_fused_prefill_gives_the_tokens_of_a_gate_pass_and_a_treated_one(
    backbone: Backbone, reading: str, acts_at: int
):
    decider = Decider(backbone, tiny_readout(backbone, reading=reading, acts_at=acts_at))
    steering = decider.readout.steering
    choices = choices_of(*(Treatment(a, steering) for a in (Action.STEER, Action.RELEASE)))
    fused = fused_tokens(Batch(backbone), decider.rows(choices))
    split = tokens_of(Batch(backbone), [decider.decided(choices)])
    assert list(fused.values()) == list(split.values())
    assert len({row.treatment.action for row in fused}) == 3


def test_every_form_and_scope_gives_the_same_fused_as_split(backbone: Backbone):
    decider = Decider(backbone, tiny_readout(backbone))
    for form in every_form(decider.readout):
        choices = choices_of(form, form)
        fused = fused_tokens(Batch(backbone), decider.rows(choices))
        split = tokens_of(Batch(backbone), [decider.decided(choices)])
        assert list(fused.values()) == list(split.values())


def test_actions_along_directions_of_their_own_meet_at_one_block(backbone: Backbone):
    decider = Decider(backbone, tiny_readout(backbone))
    block, direction = decider.readout.steering.layer, decider.readout.steering.direction
    steered, released = (
        Treatment(action, own=(Move(block, along, add(9.0), Scope.ALL),))
        for action, along in ((Action.STEER, direction), (Action.RELEASE, direction.roll(1)))
    )
    choices = choices_of(steered, released)
    fused = fused_tokens(Batch(backbone), decider.rows(choices))
    split = tokens_of(Batch(backbone), [decider.decided(choices)])
    assert list(fused.values()) == list(split.values())


def test_a_row_decided_alone_gets_the_tokens_that_it_gets_in_a_batch(backbone: Backbone):
    decider = Decider(backbone, tiny_readout(backbone, acts_at=0))
    steering = decider.readout.steering
    choices = choices_of(*(Treatment(a, steering) for a in (Action.STEER, Action.RELEASE)))
    together = list(fused_tokens(Batch(backbone), decider.rows(choices)).values())
    for index, tokens in enumerate(together):
        assert list(fused_tokens(Batch(backbone), [decider.row(index, choices)]).values()) == [
            tokens
        ]


def test_an_undecided_row_is_never_run_untouched(qwen2: Backbone):
    decider = Decider(qwen2, tiny_readout(qwen2))
    row = decider.row(0, choices_of(UNTOUCHED, UNTOUCHED))
    n_prompt = len(row.prompt_ids)
    undecided = PackedPass(qwen2, None, [Chunk(row, Held(n_prompt), 0, n_prompt)])
    with pytest.raises(RuntimeError, match="before its verdict"):
        undecided.edits({})


def test_a_refused_row_does_not_join_and_one_whose_call_fails_says_why(qwen2: Backbone):
    decider = Decider(qwen2, tiny_readout(qwen2))
    choices = choices_of(UNTOUCHED, UNTOUCHED)

    def fail(scores: Sequence[float]) -> Action:
        raise ServiceUnavailable("no row for this")

    rows = [
        decider.row(0, choices, fixed=REFUSE, settle=lambda scores: Action.REFUSE),
        decider.row(1, choices),
        decider.row(2, choices, settle=fail),
    ]
    batch = Batch(qwen2)
    refused, token, failed = batch.admit(rows)
    assert (refused, batch.rows) == (None, (rows[1],))
    assert isinstance(token, int)
    assert isinstance(failed, ServiceUnavailable)


def test_a_verdict_that_differs_from_what_the_pass_did_generates_nothing_and_is_logged(
    qwen2: Backbone, caplog: pytest.LogCaptureFixture
):
    decider = Decider(qwen2, tiny_readout(qwen2))
    row = decider.row(
        0, choices_of(UNTOUCHED, UNTOUCHED), fixed=STEER, settle=lambda _: Action.NONE
    )
    batch = Batch(qwen2)
    (found,) = batch.admit([row])
    assert isinstance(found, ServiceError)
    assert "a verdict is `none`" in caplog.text
    assert batch.rows == ()


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_takes_the_row_of_that_case(qwen2: Backbone, spoilt: float):
    decider = Decider(qwen2, tiny_readout(qwen2))
    row = decider.row(0, choices_of(UNTOUCHED, UNTOUCHED), settle=lambda scores: Action.REFUSE)
    row.undecided.scorer.table = lambda read: torch.full((len(read), 1), spoilt)
    assert Batch(qwen2).admit([row]) == [None]
