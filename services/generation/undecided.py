"""A treatment that is decided inside the request's own prefill: laws over scores, on the device.

What a law is and where it comes from, the gate says; here it is numbers: thresholds, and a code for
each interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from services.domain import Action
from services.generation.choices import Choices
from services.readout.place import Place

NOTHING = -1
"""The code of a law that says nothing; looser than any action."""


class Scorer(Protocol):
    """From readings to scores, and from codes to what is done: for all requests of one bundle."""

    @property
    def places(self) -> tuple[Place, ...]:
        """What is read of every prompt."""

    @property
    def choices(self) -> Choices:
        """What is done to a request, by its code."""

    def table(self, residuals: Tensor) -> Tensor:
        """(n, len(places), d_model) to (n, columns) float32; column 0 is the frozen score."""


class ScoreLaw(NamedTuple):
    """An action for each interval of one score."""

    column: int
    """Which score."""
    steer: float
    """At or above it: `codes[0]`."""
    release: float
    """At or below it, and below `steer`: `codes[2]`; between them `codes[1]`."""
    codes: tuple[int, int, int]


_FROZEN_IS_FINITE = ScoreLaw(0, math.inf, -math.inf, (NOTHING, NOTHING, NOTHING))
"""Says nothing as long as the frozen score, which reads every place, is finite."""


@dataclass(frozen=True, eq=False)
class Undecided:
    """What decides one request."""

    scorer: Scorer
    """The same object for all requests of a bundle: they share a pass."""
    instruction_end: int
    """Index of the last token of the user's own text."""
    laws: tuple[ScoreLaw, ...]
    fixed: int
    """The strictest code of all laws that no score moves; `NOTHING` without any."""
    broken: int
    """The code where a score that a law reads, or the frozen one, is not finite."""
    settle: Callable[[Sequence[float]], Action]
    """Told the scores, by column; gives the action of the verdict, by the same laws in Python.

    Raises a ServiceError where the policy says that the call fails."""

    def __post_init__(self) -> None:
        if not self.laws and self.fixed == NOTHING:
            raise ValueError("a request falls under no law; nothing would decide it")


class LawTable:
    """The laws of several requests as tensors, made before the pass that they decide."""

    def __init__(self, rows: Sequence[Undecided], device: torch.device) -> None:
        """Pad every row's laws to the most that any has."""
        most = max(len(row.laws) for row in rows) + 1
        numbers = [
            [
                (law.column, law.steer, law.release, *law.codes, row.broken, row.fixed)
                for law in (*row.laws, *[_FROZEN_IS_FINITE] * (most - len(row.laws)))
            ]
            for row in rows
        ]
        # all in one transfer, in float64: what float32 makes of a threshold may lie on the other
        # side of a score, and columns and codes are exact in it
        self._numbers = torch.tensor(numbers, dtype=torch.float64).to(device)

    def codes(self, table: Tensor) -> Tensor:
        """(rows,) int64: the strictest code of each row.

        Args:
            table: (rows, columns) float32 scores, on the laws' device.
        """
        column, steer, release, at_steer, between, at_release, broken, fixed = self._numbers.unbind(
            dim=2
        )
        read = table.double().gather(1, column.long())
        below = torch.where(read <= release, at_release, between)
        by_law = torch.where(read >= steer, at_steer, below)
        by_law = torch.where(read.abs() < math.inf, by_law, broken)  # NaN is below nothing
        return torch.maximum(by_law, fixed).amax(dim=1).long()
