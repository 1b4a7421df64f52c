"""What an action does is made once for each readout, and where an answer ends."""

from __future__ import annotations

import gc
import weakref

import torch

from services.backbone.load import Backbone, load_backbone
from services.domain import Action
from services.generation.intake import Treatments, end_tokens
from tests.unit.services.tiny import tiny_readout


def test_end_tokens_come_from_the_generation_config_or_else_the_tokenizer(checkpoints):
    backbone = load_backbone(str(checkpoints["qwen2"]))
    config = backbone.model.generation_config
    for named, expected in [(5, {5}), ([5, 6], {5, 6}), (None, {2})]:
        config.eos_token_id = named
        assert end_tokens(backbone) == expected


def test_a_readout_has_one_treatment_for_each_action(qwen2: Backbone):
    treatments, readout, other = Treatments(qwen2), tiny_readout(qwen2), tiny_readout(qwen2, seed=1)
    steered = treatments.under(readout, Action.STEER)
    assert treatments.under(readout, Action.STEER) is steered
    assert treatments.under(readout, Action.RELEASE).action is Action.RELEASE
    assert treatments.under(other, Action.STEER) is not steered
    (move,) = steered.moves
    assert torch.equal(move.direction, readout.steering.direction)


def test_a_readout_that_is_not_held_any_more_is_not_held_here(qwen2: Backbone):
    treatments, readout = Treatments(qwen2), tiny_readout(qwen2)
    treatments.under(readout, Action.STEER)
    gone = weakref.ref(readout)
    del readout
    gc.collect()
    assert gone() is None
