"""What whole prompts get whose code is found while they run: tables on the device, one a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.backbone.hooks import Edit
from services.domain import Action
from services.generation.intervention import Phase, Span
from services.generation.moving import (
    MoveTable,
    TokenSubset,
    as_coefficients,
    by_block,
    move_numbers,
    one_after_another,
)
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.place import Place

N_CODES = len(Action)
"""Codes are `Action.strictness`, so that the strictest of several laws is the largest."""

Codes = Callable[[], Tensor]
"""(rows,) int64, known once the last block that is read has run."""

_TWO_TOKENS = Span(2, Phase.PREFILL)
"""Of a prompt: any but the last, and the last. No scope tells more of them apart."""


class Choices:
    """A treatment for each code, and what each does to the tokens of whole prompts.

    Belongs to one bundle on one model: made once, so that a prefill that decides copies next to
    nothing to the device.
    """

    def __init__(
        self, treatments: Sequence[Treatment], places: Sequence[Place], device: torch.device
    ) -> None:
        """Put on the device what acts where the codes are known.

        Args:
            treatments: by code; of `REFUSE`, which generates nothing, any.
            places: what is read before the codes are known.
            device: the model's.

        Raises:
            ValueError: another number of treatments.
        """
        if len(treatments) != N_CODES:
            raise ValueError(f"{len(treatments)} treatments; give one for each of {N_CODES} codes")
        self.treatments = tuple(treatments)
        self._device = device
        self._known_at = max(place.layer for place in places)
        acting = [
            [m for m in each.moves if m.acts_in(Phase.PREFILL) and m.layer >= self._known_at]
            for each in treatments
        ]
        self._slots = {
            layer: [_Slot(moves, device) for moves in slots]
            for layer, slots in by_block(acting).items()
        }

    def edits(self, prompts: Sequence[range], codes: Codes) -> dict[int, Edit]:
        """The edits of whole prompts in a packed pass, at blocks where the codes are known.

        Args:
            prompts: where each row's prompt lies in the pass; rising.
            codes: asked in the pass, from the last block on that is read.

        Returns:
            By decoder block, of the whole pass, (1, tokens, d_model). Tokens that an edit does not
            concern come out of it bit for bit.
        """
        kinds = {slot.only_last for slots in self._slots.values() for slot in slots}
        tokens = {kind: _Tokens(prompts, self._device, only_last=kind) for kind in kinds}
        return {
            layer: one_after_another(
                [partial(each.edit, tokens=tokens[each.only_last], codes=codes) for each in slots]
            )
            for layer, slots in self._slots.items()
        }

    def n_settled(self, code: int, n_tokens: int) -> int:
        """How many of a prompt's tokens need not run again: all, unless a code came too late.

        Args:
            code: that was found.
            n_tokens: of the prompt.
        """
        late = [
            move
            for move in self.treatments[code].moves
            if move.acts_in(Phase.PREFILL) and move.layer < self._known_at
        ]
        if not late:
            return n_tokens
        # the last token alone runs again where it is the only one that is moved
        return 0 if any(move.scope.prompt == "all" for move in late) else n_tokens - 1


class _Tokens:
    """Which tokens of a pass are moved, and by which entry of a table (rows · 2,) each."""

    def __init__(self, prompts: Sequence[range], device: torch.device, *, only_last: bool) -> None:
        """Put on the device what is needed there.

        Args:
            prompts: as `Choices.edits` takes them.
            device: the model's.
            only_last: the last token of each prompt, or all.
        """
        if only_last:
            places = np.array([prompt.stop - 1 for prompt in prompts])
            self.subset = TokenSubset(places, device)
            which = 2 * np.arange(len(prompts)) + 1
        else:
            self.subset = TokenSubset(_joined(prompts), device)
            which = np.zeros(sum(len(prompt) for prompt in prompts), dtype=np.int64)
            first = 0
            for row, prompt in enumerate(prompts):
                stop = first + len(prompt)
                which[first : stop - 1], which[stop - 1] = 2 * row, 2 * row + 1
                first = stop
        self.which = torch.from_numpy(which).to(device)


class _Slot:
    """One edit at one block: of every code a move, or none."""

    def __init__(self, moves: Sequence[Move | None], device: torch.device) -> None:
        """Put the moves, by code, on the device."""
        numbers = np.stack(
            [move_numbers([m], [_TWO_TOKENS], [number]) for number, m in enumerate(moves, start=1)]
        )
        self.only_last = not numbers[:, 0].any()
        """No code moves any other token of a prompt."""
        table = MoveTable(moves, device)
        self._pushes = torch.from_numpy(table.pushes[numbers]).to(device)
        """(codes, 2, 4): of any token but the last, and of the last."""
        self._directions = table.directions
        self._direction_of: Tensor | None = None
        """(codes, 2); None where all have the same."""
        if table.directions.ndim == 2:
            self._direction_of = torch.from_numpy(table.direction_of[numbers]).to(device)

    def edit(self, residual: Tensor, *, tokens: _Tokens, codes: Codes) -> Tensor:
        """Edit (1, tokens, d_model)."""
        found = codes()
        directions = self._directions
        if self._direction_of is not None:
            directions = directions.index_select(0, _each(self._direction_of, found, tokens))
        pushes = _each(self._pushes, found, tokens)
        return tokens.subset.moved(residual, directions, as_coefficients(pushes))


def untouched_but(**treatments: Treatment) -> tuple[Treatment, ...]:
    """Treatments by code: those given, by their action's name; the others do nothing."""
    by_strictness = sorted(Action, key=lambda action: action.strictness)
    return tuple(treatments.get(action.value, UNTOUCHED) for action in by_strictness)


def _each(table: Tensor, codes: Tensor, tokens: _Tokens) -> Tensor:
    """What a table (codes, 2, ...) says of each token, (tokens, ...)."""
    return table.index_select(0, codes).flatten(0, 1).index_select(0, tokens.which)


def _joined(places: Sequence[range]) -> range | NDArray[np.int64]:
    """Rising places as one sequence."""
    first, stop = places[0].start, places[-1].stop
    if stop - first == sum(len(each) for each in places):
        return range(first, stop)
    return np.concatenate([np.arange(each.start, each.stop) for each in places])
