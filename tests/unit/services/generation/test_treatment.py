from __future__ import annotations

import pytest
import torch

from services.domain import Action
from services.generation.intervention import Phase
from services.generation.treatment import UNTOUCHED, Treatment, edits_of
from services.readout.bundle import Steering

WIDTH = 4


def steering(*, decodes: bool) -> Steering:
    direction = torch.eye(WIDTH)[0]
    return Steering(direction, layer=1, coefficient=2.0, typical_norm=1.0, decodes=decodes)


def moved(action: Action, phase: Phase, *, decodes: bool) -> torch.Tensor:
    """How far a residual of ones is moved along the direction, token by token."""
    treatments = [Treatment(action, steering(decodes=decodes)), UNTOUCHED]
    residual = torch.ones(2, 3 if phase is Phase.PREFILL else 1, WIDTH)
    tokens = torch.ones(residual.shape[:2], dtype=torch.int64)
    edit = edits_of(treatments, phase, tokens)[1]
    return (edit(residual) - residual)[0, :, 0]


@pytest.mark.parametrize("decodes", [True, False])
def test_steering_always_acts_on_the_last_prompt_token(decodes):
    assert moved(Action.STEER, Phase.PREFILL, decodes=decodes).tolist() == [0.0, 0.0, 2.0]


def test_steering_acts_on_new_tokens_where_the_readout_says_so():
    assert moved(Action.STEER, Phase.DECODE, decodes=True).tolist() == [2.0]
    assert moved(Action.STEER, Phase.DECODE, decodes=False).tolist() == [0.0]


@pytest.mark.parametrize("decodes", [True, False])
def test_releasing_acts_on_every_token(decodes):
    assert moved(Action.RELEASE, Phase.PREFILL, decodes=decodes).tolist() == [-1.0] * 3
    assert moved(Action.RELEASE, Phase.DECODE, decodes=decodes).tolist() == [-1.0]
