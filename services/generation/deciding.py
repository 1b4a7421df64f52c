"""Verdicts inside of prefills: prompts are read while they run, decided and acted upon at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from services.backbone.hooks import Edit, capture
from services.backbone.load import Backbone
from services.domain import Action
from services.errors import ServiceError
from services.generation.row import Row
from services.generation.undecided import LawTable, Undecided

log = logging.getLogger(__name__)

Settled = int | ServiceError | None
"""How many of a row's prompt tokens need not run again, why its call fails, or None: refused."""


class Stretch(NamedTuple):
    """Consecutive prompt tokens of one row, and where they lie in a packed pass."""

    first: int
    """Index of the first in the pass."""
    start: int
    """Index of the first in the prompt."""
    n_tokens: int


class Decision:
    """Decides rows of one scorer whose prompts run, in one pass or chunk by chunk."""

    def __init__(self, backbone: Backbone, rows: Sequence[Row]) -> None:
        """Put everything that decides on the device before the first pass begins.

        Raises:
            ValueError: the rows have several scorers, or are decided already.
        """
        self._rows = rows
        self._undecided = [_of(row) for row in rows]
        scorers = {id(each.scorer) for each in self._undecided}
        if len(scorers) != 1:
            raise ValueError(f"{len(scorers)} bundles in one decision; give each one of its own")
        self._scorer = self._undecided[0].scorer
        places = self._scorer.places
        self._readings = tuple(dict.fromkeys(place.reading for place in places))
        self._layers = sorted({place.layer for place in places})
        self._laws = LawTable(self._undecided, backbone.device)
        self._backbone = backbone
        self._dtype = backbone.model.dtype
        self._before: dict[int, Tensor] = {}
        self._now: Mapping[int, Tensor] = {}
        self._table: Tensor | None = None
        self._codes: Tensor | None = None

    @property
    def deepest(self) -> int:
        """The last block that is read."""
        return self._layers[-1]

    @contextmanager
    def reading(self, stretches: Sequence[Stretch]) -> Iterator[None]:
        """Read while a pass runs that holds the next prompt tokens of every row.

        Edits are to be installed inside of this, so that what is read is unedited.

        Raises:
            ValueError: the readout reads a block that is not there.
        """

        def keep(residual: Tensor) -> Tensor:
            return torch.stack(
                [
                    self._read(residual[0, each.first : each.first + each.n_tokens], row, each)
                    for row, each in enumerate(stretches)
                ]
            )

        with capture(self._backbone.blocks, self._layers, keep=keep) as self._now:
            yield
        self._before = {layer: self._so_far(layer) for layer in self._layers}
        self._now = {}

    def edits(self, stretches: Sequence[Stretch]) -> dict[int, Edit]:
        """Of a pass that holds these rows' whole prompts; no other token is touched."""
        prompts = [range(each.first, each.first + each.n_tokens) for each in stretches]
        return self._scorer.choices.edits(prompts, self.codes)

    def codes(self) -> Tensor:
        """(rows,) int64; to be asked when the last block that is read has seen all tokens."""
        if self._codes is None:
            read = [
                self._so_far(place.layer)[:, self._readings.index(place.reading)]
                for place in self._scorer.places
            ]
            self._table = self._scorer.table(torch.stack(read, dim=1).to(self._dtype))
            self._codes = self._laws.codes(self._table)
        return self._codes

    def found(self) -> Tensor:
        """(rows, 1 + scores) float64: what `settle` is to be told, still on the device.

        Every code is exact in float64, as every float32 score is.
        """
        codes, table = self.codes(), self._table
        assert table is not None, "codes are made of the table"
        return torch.cat([codes.unsqueeze(1).double(), table.double()], dim=1)

    def settle(self, found: Sequence[Sequence[float]]) -> list[Settled]:
        """Give every row its verdict.

        Args:
            found: as `found` says, on the host.
        """
        return [
            self._settle(index, int(code), scores) for index, (code, *scores) in enumerate(found)
        ]

    def _so_far(self, layer: int) -> Tensor:
        """(rows, readings, d_model) float32."""
        parts = [each[layer] for each in (self._before, self._now) if layer in each]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _read(self, residual: Tensor, row: int, stretch: Stretch) -> Tensor:
        """What some tokens of a row add to its readings, (readings, d_model) float32.

        Args:
            residual: (tokens, d_model) of these tokens.
            row: index of the row.
            stretch: where they stand in its prompt.
        """
        n_prompt, end = len(self._rows[row].prompt_ids), self._undecided[row].instruction_end
        at = {"last": n_prompt - 1, "instruction": end}
        return torch.stack(
            [
                residual.float().sum(dim=0) / n_prompt
                if reading == "mean"
                else _token(residual, at[reading] - stretch.start)
                for reading in self._readings
            ]
        )

    def _settle(self, index: int, code: int, scores: list[float]) -> Settled:
        row, undecided = self._rows[index], self._undecided[index]
        try:
            action = undecided.settle(scores)
        except ServiceError as error:
            return error
        if action.strictness != code:
            # the device has acted on other scores than the verdict: nobody may rely on either
            log.error("a verdict is `%s`, and its prefill acted by code %d", action.value, code)
            return ServiceError(
                "the verdict and what was done to the model differ, so nothing is generated; see "
                "the server log"
            )
        choices = self._scorer.choices
        row.settle(action, choices.treatments[code])
        return None if action is Action.REFUSE else choices.n_settled(code, len(row.prompt_ids))


def _token(residual: Tensor, index: int) -> Tensor:
    """One token in float32; zeros where it is in another stretch."""
    if 0 <= index < len(residual):
        return residual[index].float()
    return torch.zeros_like(residual[0], dtype=torch.float32)


def _of(row: Row) -> Undecided:
    if row.undecided is None or row.settled is not None:
        raise ValueError("a row that is decided already needs no decision")
    return row.undecided
