"""The edits of a prefill whose rows get their treatment while it runs, by a code on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.generation.intervention import Coefficients, Phase, Push, rank_one
from services.generation.treatment import Move, Treatment

Codes = Callable[[], Tensor]
"""(rows,) int64, known once the last block that is read has run."""

_STILL = Push()
_PROMPTS = ("none", "last", "all")


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
    for layer in sorted({move.layer for row in acting for moves in row for move in moves}):
        here = [[move for move in moves if move.layer == layer] for row in acting for moves in row]
        # the first moves of all rows and codes are one edit, the second ones the next
        slots = [_Slot(_by_row(moves, len(choices)), tokens) for moves in zip_longest(*here)]
        edits[layer] = partial(_all, slots, codes)
    return edits


def _by_row(moves: Sequence[Move | None], n_rows: int) -> list[Sequence[Move | None]]:
    n_codes = len(moves) // n_rows
    return [moves[row * n_codes : (row + 1) * n_codes] for row in range(n_rows)]


def acts_before(treatment: Treatment, layer: int) -> bool:
    """True when a treatment moves a prompt token at a block before `layer`."""
    return any(m.acts_in(Phase.PREFILL) and m.layer < layer for m in treatment.moves)


def acts_on_all_before(treatment: Treatment, layer: int) -> bool:
    """True when it moves more than the last prompt token there."""
    return any(m.scope.prompt == "all" and m.layer < layer for m in treatment.moves)


class _Slot:
    """One edit at one block: of every row and code a move, or none."""

    def __init__(self, moves: Sequence[Sequence[Move | None]], tokens: Tensor) -> None:
        """Put the moves, by row and code, on the tokens' device."""
        device = tokens.device
        known = {id(m.direction): m.direction for row in moves for m in row if m is not None}
        places = {key: place for place, key in enumerate(known)}
        self._directions = torch.stack([each.float() for each in known.values()]).to(device)
        of = [[0 if m is None else places[id(m.direction)] for m in row] for row in moves]
        self._of = torch.tensor(of, device=device)
        pushes = [[_STILL if m is None else m.push for m in row] for row in moves]
        self._pushes = torch.tensor(pushes, dtype=torch.float32, device=device)
        scopes = [
            [0 if m is None else _PROMPTS.index(m.scope.prompt) for m in row] for row in moves
        ]
        self._scopes = torch.tensor(scopes, device=device)
        self._rows = torch.arange(len(moves), device=device)
        self._real = tokens.bool()
        position = torch.arange(tokens.shape[1], device=device)
        last = torch.where(self._real, position, -1).amax(dim=1, keepdim=True)
        self._last = position == last

    def apply(self, residual: Tensor, codes: Tensor) -> Tensor:
        """Edit (rows, seq, d_model)."""
        scope = self._scopes[self._rows, codes].unsqueeze(1)
        inside = (self._real & (scope == 2)) | (self._last & (scope == 1))
        shift, scale, low, high = self._pushes[self._rows, codes].unsqueeze(2).unbind(dim=1)
        numbers = Coefficients(shift * inside, scale * inside, low, high)
        if len(self._directions) == 1:
            return rank_one(residual, self._directions[0], numbers)
        return rank_one(residual, self._directions[self._of[self._rows, codes]], numbers)


def _all(slots: Sequence[_Slot], codes: Codes, residual: Tensor) -> Tensor:
    for slot in slots:
        residual = slot.apply(residual, codes())
    return residual
