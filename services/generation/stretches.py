"""One packed pass over given tokens, without a decode loop around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from services.backbone.hooks import edit
from services.backbone.load import Backbone
from services.generation.attention import PackedAttention, Prompting
from services.generation.forward import packed_logits
from services.generation.intervention import Phase, Span
from services.generation.moving import packed_edits
from services.generation.slabs import Held
from services.generation.treatment import Treatment


class Given(NamedTuple):
    """Consecutive tokens of one row: its prompt, or what follows it."""

    token_ids: Sequence[int]
    """At least one."""
    treatment: Treatment
    phase: Phase
    held: Held
    """Keys and values of the row; those of the tokens before are there, these are taken up."""
    start: int = 0
    """Tokens before them."""


def logits_after(backbone: Backbone, rows: Sequence[Given], *, every: bool) -> Tensor:
    """The logits that each row's tokens lead to; call it in inference mode.

    Args:
        backbone: the whole model; nothing else may run it meanwhile.
        rows: what runs side by side, each treated as the decode loop would.
        every: after every token; otherwise after the last of each row.

    Returns:
        (tokens or rows, vocabulary), in the model's dtype, row by row.

    Raises:
        ServiceError: the model attends in a way of its own.
    """
    tokens = [token for row in rows for token in row.token_ids]
    positions = [row.start + i for row in rows for i in range(len(row.token_ids))]
    ends = torch.tensor([len(row.token_ids) for row in rows]).cumsum(0) - 1
    wanted = torch.arange(len(tokens)) if every else ends
    attention = PackedAttention(
        [],
        [Prompting(row.held, row.start, len(row.token_ids)) for row in rows],
        backbone.device,
    )
    spans = [Span(len(row.token_ids), row.phase) for row in rows]
    edits = packed_edits([row.treatment for row in rows], spans, backbone.device)
    with edit(backbone.blocks, edits):
        return packed_logits(
            backbone,
            torch.tensor([tokens, positions], device=backbone.device),
            wanted.to(backbone.device),
            attention,
        )
