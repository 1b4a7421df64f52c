"""Residuals to scores: the frozen readout's, and each language's own, of every prompt at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from services.readout.bundle import Bundle, Calibration


@dataclass(frozen=True)
class Scores:
    """Every score of one prompt; which of them counts, the calibration says."""

    frozen: float
    """Of the readout that all languages share; what is reported where no language decides."""
    own: Mapping[str, float] = field(default_factory=dict)
    """By language, of those with a readout of their own."""

    def under(self, calibration: Calibration) -> float:
        """The score that the calibration's thresholds are held against.

        Raises:
            ValueError: its own readout has not scored the prompt. The frozen score is never taken
                in its place: its unit is another.
        """
        if calibration.own is None:
            return self.frozen
        if calibration.language not in self.own:
            raise ValueError(
                f"the own readout of calibration `{calibration.version}` has not scored this "
                "prompt; score it under the bundle that holds the calibration"
            )
        return self.own[calibration.language]


def score_all(bundle: Bundle, residuals: Tensor) -> list[Scores]:
    """Score prompts by everything in a bundle that scores; the one way from residuals to verdicts.

    Args:
        bundle: the readout and its calibrations.
        residuals: (n, len(places), d_model), any float dtype, at the readout's places.

    Returns:
        One for each prompt, in order. What is not finite stays so.

    Raises:
        ValueError: another number of places, or another width.
    """
    frozen = bundle.readout.score(residuals)
    own = bundle.own_table
    # one table, so that one transfer from the device waits, however many languages there are
    table = torch.cat([frozen[:, None], own.score(residuals)], dim=1).cpu().numpy()
    return [Scores(float(row[0]), _Row(own.columns, row[1:])) for row in table]


class _Row(Mapping[str, float]):
    """One prompt's scores by language; of thousands hardly any is ever asked for."""

    def __init__(self, columns: Mapping[str, int], scores: Sequence[float]) -> None:
        """Name the scores, without touching one."""
        self._columns = columns
        self._scores = scores

    def __getitem__(self, language: str) -> float:
        return float(self._scores[self._columns[language]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))
