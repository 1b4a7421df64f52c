"""Moves as the edits of packed passes: tensors made of spans, without a loop over their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.backbone.hooks import Edit
from services.generation.intervention import Coefficients, Push, Span, rank_one
from services.generation.treatment import Move, Treatment

_STILL = Push()


class MoveTable:
    """What moves do, by their numbers: the first is 1, and 0 moves nothing."""

    def __init__(self, moves: Sequence[Move | None], device: torch.device) -> None:
        """Put each direction on the device, once; None has a number too, and moves nothing."""
        self.pushes = np.array(
            [_STILL, *(_STILL if move is None else move.push for move in moves)], dtype=np.float32
        )
        """(1 + moves, 4), on the host."""
        known = {id(move.direction): move.direction for move in moves if move is not None}
        kept = [each.to(device, torch.float32) for each in known.values()]
        self.directions = kept[0] if len(kept) == 1 else torch.stack(kept)
        """(d_model,) where all have the same, else (directions, d_model)."""
        places = {key: place for place, key in enumerate(known)}
        # what moves nothing may have any direction
        self.direction_of = np.array(
            [0, *(0 if move is None else places[id(move.direction)] for move in moves)]
        )
        """(1 + moves,), on the host."""


def packed_edits(
    treatments: Sequence[Treatment], spans: Sequence[Span], device: torch.device
) -> dict[int, Edit]:
    """The edits of one packed pass, (1, tokens, d_model), in which every span is another row.

    Args:
        treatments: one for each span.
        spans: the pass's tokens, in order.
        device: the model's.

    Returns:
        By decoder block; empty when nothing is done to any row. Tokens that an edit does not
        concern come out of it bit for bit.
    """
    acting = [
        [move for move in treatment.moves if span.inside(move.scope)]
        for treatment, span in zip(treatments, spans, strict=True)
    ]
    edits: dict[int, Edit] = {}
    for layer, slots in by_block(acting).items():
        found = [_packed_edit(moves, spans, device) for moves in slots]
        edits[layer] = one_after_another(found)
    return edits


def by_block(acting: Sequence[Sequence[Move]]) -> dict[int, list[tuple[Move | None, ...]]]:
    """The moves of several treatments by decoder block, rising.

    Returns:
        Of each block what follows one another there: the first move of each treatment, then the
        second ones, and so on; None where a treatment has no more.
    """
    layers = sorted({move.layer for moves in acting for move in moves})
    return {
        layer: list(zip_longest(*([m for m in moves if m.layer == layer] for moves in acting)))
        for layer in layers
    }


def move_numbers(
    moves: Sequence[Move | None], spans: Sequence[Span], numbers: Sequence[int]
) -> NDArray[np.int64]:
    """Which move every token of some spans gets, (tokens,); 0 where it is not moved.

    Args:
        moves: one for each span; None moves nothing.
        spans: the tokens, in order.
        numbers: of the moves, from 1 on.
    """
    found = np.zeros(sum(span.n_tokens for span in spans), dtype=np.int64)
    if not any(moves):
        return found
    first = 0
    for move, span, number in zip(moves, spans, numbers, strict=True):
        if move is not None:
            inside = span.inside(move.scope)
            found[first + inside.start : first + inside.stop] = number
        first += span.n_tokens
    return found


def as_coefficients(pushes: Tensor) -> Coefficients:
    """(tokens, 4) to (tokens, 1) each."""
    return Coefficients(*pushes.unsqueeze(1).unbind(dim=2))


def one_after_another(edits: Sequence[Edit]) -> Edit:
    """One edit of several."""
    return edits[0] if len(edits) == 1 else partial(_in_turn, edits)


class TokenSubset:
    """Some tokens of a packed pass."""

    def __init__(self, places: range | NDArray[np.int64], device: torch.device) -> None:
        """Put on the device what is needed there: nothing, where they lie side by side.

        Args:
            places: of at least one token, rising.
            device: the model's.
        """
        first, stop = int(places[0]), int(places[-1]) + 1
        self._between = (first, stop) if stop - first == len(places) else None
        self._places = None if self._between else torch.as_tensor(places).to(device)

    def moved(self, residual: Tensor, directions: Tensor, coefficients: Coefficients) -> Tensor:
        """`rank_one` of these tokens; the others stay.

        Args:
            residual: (1, tokens, d_model); is not modified.
            directions: (d_model,), or (these, d_model).
            coefficients: (these, 1) each.
        """
        if self._places is not None:
            rows = residual.index_select(1, self._places)
            return residual.index_copy(1, self._places, _rows(rows, directions, coefficients))
        assert self._between is not None, "what does not lie side by side has places"
        first, stop = self._between
        edited = _rows(residual[:, first:stop], directions, coefficients)
        if stop - first == residual.shape[1]:
            return edited
        return torch.cat([residual[:, :first], edited, residual[:, stop:]], dim=1)


def _rows(residual: Tensor, directions: Tensor, coefficients: Coefficients) -> Tensor:
    """`rank_one`, for which every token is a row of its own."""
    return rank_one(residual.transpose(0, 1), directions, coefficients).transpose(0, 1)


def _packed_edit(moves: Sequence[Move | None], spans: Sequence[Span], device: torch.device) -> Edit:
    numbers = move_numbers(moves, spans, range(1, len(moves) + 1))
    places = np.flatnonzero(numbers)
    mine = numbers[places]
    table = MoveTable(moves, device)
    pushes = torch.from_numpy(table.pushes[mine]).to(device)
    directions = table.directions
    if directions.ndim == 2:
        which = torch.from_numpy(table.direction_of[mine]).to(device)
        directions = directions.index_select(0, which)
    subset = TokenSubset(places, device)
    return partial(subset.moved, directions=directions, coefficients=as_coefficients(pushes))


def _in_turn(edits: Sequence[Edit], residual: Tensor) -> Tensor:
    for edit in edits:
        residual = edit(residual)
    return residual
