"""One load as all who answered it were timed, once their answers were found alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.agreement import same_answers
from benchmarks.serving.claims import Repeats
from benchmarks.serving.load import Load
from benchmarks.serving.timings import Timings


@dataclass(frozen=True)
class MeasuredLoad:
    """The figures of one load."""

    name: str
    n_requests: int
    repeats: Repeats
    same: Mapping[str, float]
    """As `same_answers` gives it."""

    @classmethod
    def of(cls, load: Load, timed: Mapping[str, Sequence[Timings]]) -> MeasuredLoad:
        """Figures of every repeat of a load, by peer.

        Raises:
            RuntimeError: as `same_answers`.
        """
        repeats = {peer: [each.figures() for each in all_] for peer, all_ in timed.items()}
        return cls(load.name, len(load.jobs), repeats, same_answers(timed))
