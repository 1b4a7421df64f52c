"""The edits of a pass whose rows get their treatment while it runs, by a code on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from services.backbone.hooks import Edit
from services.generation.intervention import Coefficients, Phase, Span
from services.generation.treatment import (
    Move,
    Treatment,
    by_block,
    by_token,
    directions_of,
    one_after_another,
    rank_one_by_token,
    token_numbers,
)

Codes = Callable[[], Tensor]
"""(rows,) int64, known once the last block that is read has run."""


def edits_by_code(
    choices: Sequence[Sequence[Treatment]],
    codes: Codes,
    spans: Sequence[Span],
    device: torch.device,
    *,
    first_layer: int,
) -> dict[int, Edit]:
    """The edits of whole prompts in a packed pass, at blocks where the codes are known.

    Args:
        choices: of each row, a treatment for each code.
        codes: asked in the pass, from `first_layer` on.
        spans: of each row, its whole prompt.
        device: the model's.
        first_layer: the last block that is read. Moves before it are left out: `acts_before` says
            whether a row needs another pass for them.

    Returns:
        By decoder block, of these rows' tokens alone, (1, tokens, d_model). Rows that an edit does
        not concern come out of it bit for bit.
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
        found = [_Slot(moves, codes, spans, device).edit for moves in slots]
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
        device: torch.device,
    ) -> None:
        """Put the moves, by row and then by code, on the device."""
        n_codes = len(moves) // len(spans)
        by_code = [by_token(moves[code::n_codes], spans) for code in range(n_codes)]
        numbers = [token_numbers(each, device) for each in by_code]
        self._numbers = Coefficients(*map(torch.stack, zip(*numbers, strict=True)))
        n_tokens = len(by_code[0])
        # one list, so that a direction of several rows and codes is held once
        found = directions_of([move for each in by_code for move in each], device)
        self._directions = found if found.ndim == 1 else found.reshape(n_codes, n_tokens, -1)
        self._tokens = torch.arange(n_tokens, device=device)
        rows = [row for row, span in enumerate(spans) for _ in range(span.n_tokens)]
        self._rows = torch.tensor(rows, device=device)
        self._codes = codes

    def edit(self, residual: Tensor) -> Tensor:
        """Edit (1, tokens, d_model)."""
        codes = self._codes()[self._rows]
        directions = self._directions
        if directions.ndim == 3:
            directions = directions[codes, self._tokens]
        numbers = Coefficients(*(each[codes, self._tokens] for each in self._numbers))
        return rank_one_by_token(residual, directions, numbers)
