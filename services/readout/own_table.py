"""All languages' own readouts as one table: their scores of a batch cost one matrix product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from services.readout.linear import LinearReadout
from services.readout.own import OwnReadout
from services.readout.place import Place

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, eq=False)
class _AtPlace:
    """What all languages that read one place make of it."""

    place: int
    """Index among the places that are read."""
    columns: Tensor
    """(readers,) int64: which languages' scores it adds to."""
    weights: Tensor
    """(d_model, readers) float32."""
    biases: Tensor
    """(readers,) float32."""

    def to(self, device: torch.device) -> _AtPlace:
        """The same on another device."""
        tensors = (each.to(device) for each in (self.columns, self.weights, self.biases))
        return _AtPlace(self.place, *tensors)


class _Reader(NamedTuple):
    """A language that reads a place."""

    column: int
    linear: LinearReadout


class OwnTable(Generic[KeyT]):
    """Scores of every calibration with an own readout; made once for a bundle."""

    def __init__(self, own: Mapping[KeyT, OwnReadout], places: Sequence[Place]) -> None:
        """Fold own readouts.

        Args:
            own: by what is to name their columns; may be empty.
            places: what is read of a prompt, in order.

        Raises:
            ValueError: one reads what is not read or in another order, or their widths differ.
        """
        self.columns: Mapping[KeyT, int] = MappingProxyType(
            {key: column for column, key in enumerate(own)}
        )
        """Of each own readout, in the table that `score` gives."""
        readers: dict[int, list[_Reader]] = defaultdict(list)
        for column, readout in enumerate(own.values()):
            for place, part in zip(readout.rows_among(places), readout.parts, strict=True):
                readers[place].append(_Reader(column, part.linear))
        parts = [_folded(place, places, readers[place]) for place in sorted(readers)]
        self._parts: dict[torch.device, list[_AtPlace]] = {torch.device("cpu"): parts}

    def score(self, residuals: Tensor) -> Tensor:
        """Score prompts by every language's own readout.

        Args:
            residuals: (n, len(places), d_model), any float dtype and device.

        Returns:
            (n, len(columns)) float32 on the residuals' device: what each own readout's `score`
            gives, up to the rounding of float32. A residual that is not finite leaves the scores of
            languages that do not read its place alone.

        Raises:
            ValueError: another width.
        """
        scores = torch.zeros(
            len(residuals), len(self.columns), dtype=torch.float32, device=residuals.device
        )
        for part in self._on(residuals.device):
            if residuals.shape[-1] != len(part.weights):
                raise ValueError(
                    f"the residual has width {residuals.shape[-1]}, the own readouts "
                    f"{len(part.weights)}"
                )
            read = residuals[:, part.place].float()
            scores.index_add_(1, part.columns, torch.addmm(part.biases, read, part.weights))
        return scores

    def _on(self, device: torch.device) -> list[_AtPlace]:
        # moved once: the table of many languages is megabytes
        if device not in self._parts:
            self._parts[device] = [part.to(device) for part in self._parts[torch.device("cpu")]]
        return self._parts[device]


def _folded(index: int, places: Sequence[Place], readers: Sequence[_Reader]) -> _AtPlace:
    """What all languages that read the place of that index make of it."""
    linears = [reader.linear for reader in readers]
    if len(widths := {len(linear.weight) for linear in linears}) > 1:
        raise ValueError(f"the own readouts of {places[index]} have widths {sorted(widths)}")
    return _AtPlace(
        index,
        torch.tensor([reader.column for reader in readers]),
        torch.stack([linear.weight.cpu() for linear in linears], dim=1),
        torch.tensor([linear.bias for linear in linears], dtype=torch.float32),
    )
