"""The edits of a prefill whose rows get their treatment while it runs, by a code on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.generation.intervention import Coefficients, Phase, rank_one
from services.generation.treatment import (
    Move,
    Treatment,
    by_block,
    directions_of,
    numbers_of,
    one_after_another,
)

Codes = Callable[[], Tensor]
"""(rows,) int64, known once the last block that is read has run."""


def edits_by_code(
    choices: Sequence[Sequence[Treatment]], codes: Codes, tokens: Tensor, *, first_layer: int
) -> dict[int, Edit]:
    """The edits of a prefill, at blocks where the codes are known.

    Args:
        choices: of each row, a treatment for each code.
        codes: asked in the pass, from `first_layer` on.
        tokens: (rows, seq), 1 for a token and 0 for a pad, on the model's device.
        first_layer: the last block that is read. Moves before it are left out: `acts_before` says
            whether a row needs another pass for them.

    Returns:
        By decoder block. Rows that an edit does not concern come out of it bit for bit.
    """
    acting = [
        [
            [m for m in treatment.moves if m.acts_in(Phase.PREFILL) and m.layer >= first_layer]
            for treatment in row
        ]
        for row in choices
    ]
    edits: dict[int, Edit] = {}
    for layer, slots in by_block([moves for row in acting for moves in row]).items():
        found = [_Slot(moves, codes, tokens).edit for moves in slots]
        edits[layer] = one_after_another(found)
    return edits


def acts_before(treatment: Treatment, layer: int) -> bool:
    """True when a treatment moves a prompt token at a block before `layer`."""
    return any(m.acts_in(Phase.PREFILL) and m.layer < layer for m in treatment.moves)


def acts_on_all_before(treatment: Treatment, layer: int) -> bool:
    """True when it moves more than the last prompt token there."""
    return any(m.scope.prompt == "all" and m.layer < layer for m in treatment.moves)


class _Slot:
    """One edit at one block: of every row and code a move, or none."""

    def __init__(self, moves: Sequence[Move | None], codes: Codes, tokens: Tensor) -> None:
        """Put the moves, by row and then by code, on the tokens' device."""
        n_rows = len(tokens)
        n_codes = len(moves) // n_rows
        by_code = [
            numbers_of(moves[code::n_codes], Phase.PREFILL, tokens) for code in range(n_codes)
        ]
        self._numbers = Coefficients(*map(torch.stack, zip(*by_code, strict=True)))
        found = directions_of(moves, tokens.device)
        self._directions = found if found.ndim == 1 else found.reshape(n_rows, n_codes, -1)
        self._rows = torch.arange(n_rows, device=tokens.device)
        self._codes = codes

    def edit(self, residual: Tensor) -> Tensor:
        """Edit (rows, seq, d_model)."""
        codes = self._codes()
        directions = self._directions
        if directions.ndim == 3:
            directions = directions[self._rows, codes]
        numbers = Coefficients(*(each[codes, self._rows] for each in self._numbers))
        return rank_one(residual, directions, numbers)
