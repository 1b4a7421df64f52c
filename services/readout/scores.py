"""Residuals to scores: the frozen readout's, and each language's own, of every prompt at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from services.readout.bundle import Bundle, Calibration
from services.readout.canary import CalibrationKey


@dataclass(frozen=True)
class Scores:
    """Every score of one prompt; which of them counts, the calibration says."""

    frozen: float
    """Of the readout that all languages share; what is reported where no language decides."""
    own: Mapping[CalibrationKey, float] = field(default_factory=dict)
    """By calibration, of those with a readout of their own."""

    def under(self, calibration: Calibration) -> float:
        """The score that the calibration's thresholds are held against.

        Raises:
            ValueError: its own readout has not scored the prompt. The frozen score is never taken
                in its place: its unit is another.
        """
        if calibration.own is None:
            return self.frozen
        if calibration.key not in self.own:
            raise ValueError(
                f"the own readout of calibration `{calibration.version}` has not scored this "
                "prompt; score it under the bundle that holds the calibration"
            )
        return self.own[calibration.key]


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
    table = score_table(bundle, residuals).cpu().numpy()
    return [scores_of(bundle, row) for row in table]


def score_table(bundle: Bundle, residuals: Tensor) -> Tensor:
    """Score prompts as one table, so that one transfer from the device waits for all languages.

    Returns:
        (n, 1 + own readouts) float32 on the residuals' device: the frozen score, then each own one
        at 1 + its column in `bundle.own_table`.

    Raises:
        ValueError: as `score_all` does.
    """
    frozen = bundle.readout.score(residuals)[:, None]
    if not bundle.own_table.columns:
        return frozen
    return torch.cat([frozen, bundle.own_table.score(residuals)], dim=1)


def scores_of(bundle: Bundle, row: Sequence[float]) -> Scores:
    """One prompt's scores: a row of `score_table`."""
    return Scores(float(row[0]), _Row(bundle.own_table.columns, row[1:]))


def column_of(calibration: Calibration, bundle: Bundle) -> int:
    """The column of `score_table` that a calibration's thresholds are held against."""
    if calibration.own is None:
        return 0
    return 1 + bundle.own_table.columns[calibration.key]


class _Row(Mapping[CalibrationKey, float]):
    """One prompt's scores by calibration; of thousands hardly any is ever asked for."""

    def __init__(self, columns: Mapping[CalibrationKey, int], scores: Sequence[float]) -> None:
        """Name the scores, without touching one."""
        self._columns = columns
        self._scores = scores

    def __getitem__(self, key: CalibrationKey) -> float:
        return float(self._scores[self._columns[key]])

    def __iter__(self) -> Iterator[CalibrationKey]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))
