"""The edits of a pass whose rows get their treatment while it runs, by a code on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.generation.intervention import Phase, Push, Span
from services.generation.moving import (
    MoveTable,
    TokenSubset,
    as_coefficients,
    by_block,
    move_numbers,
    one_after_another,
)
from services.generation.treatment import Move, Treatment

Codes = Callable[[], Tensor]
"""(rows,) int64, known once the last block that is read has run."""


def edits_by_code(
    choices: Sequence[Sequence[Treatment]],
    codes: Codes,
    spans: Sequence[Span],
    firsts: Sequence[int],
    device: torch.device,
    *,
    first_layer: int,
) -> dict[int, Edit]:
    """The edits of whole prompts in a packed pass, at blocks where the codes are known.

    Args:
        choices: of each row, a treatment for each code.
        codes: asked in the pass, from `first_layer` on.
        spans: of each row, its whole prompt.
        firsts: of each row, the place of its first token in the pass; rising.
        device: the model's.
        first_layer: the last block that is read. Moves before it are left out: `acts_before` says
            whether a row needs another pass for them.

    Returns:
        By decoder block, of the whole pass, (1, tokens, d_model). Tokens that an edit does not
        concern come out of it bit for bit.
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
        found = [_Slot(moves, codes, spans, firsts, device).edit for moves in slots]
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

    def __init__(
        self,
        moves: Sequence[Move | None],
        codes: Codes,
        spans: Sequence[Span],
        firsts: Sequence[int],
        device: torch.device,
    ) -> None:
        """Put the moves, by row and then by code, on the device."""
        n_codes = len(moves) // len(spans)
        count = range(1, len(moves) + 1)
        by_code = np.stack(
            [
                move_numbers(moves[code::n_codes], spans, count[code::n_codes])
                for code in range(n_codes)
            ]
        )
        mine = np.flatnonzero(by_code.any(axis=0))
        rows = np.repeat(np.arange(len(spans)), [span.n_tokens for span in spans])
        places = np.concatenate(
            [first + np.arange(span.n_tokens) for first, span in zip(firsts, spans, strict=True)]
        )
        by_code = by_code[:, mine]
        table = MoveTable(moves, device)
        self._mine = TokenSubset(places[mine], device)
        self._rows = torch.from_numpy(rows[mine]).to(device)
        """(tokens,) which row's code counts."""
        self._pushes = torch.from_numpy(table.pushes[by_code]).to(device)
        """(codes, tokens, 4)."""
        self._directions = table.directions
        self._direction_of: Tensor | None = None
        """(codes, tokens); None where all have the same."""
        if table.directions.ndim == 2:
            self._direction_of = torch.from_numpy(table.direction_of[by_code]).to(device)
        self._codes = codes

    def edit(self, residual: Tensor) -> Tensor:
        """Edit (1, tokens, d_model)."""
        code = self._codes().index_select(0, self._rows).unsqueeze(0)
        pushes = self._pushes.gather(0, code.unsqueeze(2).expand(-1, -1, len(Push._fields)))
        directions = self._directions
        if self._direction_of is not None:
            directions = directions.index_select(0, self._direction_of.gather(0, code).squeeze(0))
        return self._mine.moved(residual, directions, as_coefficients(pushes.squeeze(0)))
