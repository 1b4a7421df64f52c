"""What the monitor knows, on disk: a restart loses nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from services.drift.counts import BOUNDARIES, Counters, Served
from services.drift.measure import Measure
from services.drift.plan import FIRED, REFUSED, SCORE
from services.drift.reference import Reference

_KEPT_S = 14 * 86_400.0
"""A version without requests is kept for so long: a rollback finds its baseline."""
ACTIVE_S = 3600.0
"""A version without requests for so long, while another of its language has some, is not shown."""


class Watched(BaseModel):
    """One calibration version of one language."""

    language: str
    calibration_version: str
    seen_at: float
    """When its last request was counted, in seconds since 1970."""
    measures: dict[str, Measure]

    @classmethod
    def of(cls, served: Served, now: float) -> Watched:
        """Nothing seen of it yet."""
        columns = {FIRED: 1, REFUSED: 1, SCORE: len(BOUNDARIES)}
        measures = {name: Measure.of(n, now) for name, n in columns.items()}
        return cls(**served._asdict(), seen_at=now, measures=measures)


class State(BaseModel):
    """All of it."""

    schema_version: Literal[1] = 1
    read_at: float | None = None
    """When counts were read last."""
    counters: Counters = Field(default_factory=Counters)
    watched: list[Watched] = Field(default_factory=list)
    references: dict[str, Reference] = Field(default_factory=dict)
    """By calibration version."""

    def of(self, served: Served, begun: float) -> Watched:
        """What is known of a version; a new one begins at `begun`."""
        for each in self.watched:
            if (each.language, each.calibration_version) == served:
                return each
        new = Watched.of(served, begun)
        self.watched.append(new)
        return new

    def shown(self, now: float) -> list[Watched]:
        """The versions that serve: with requests of late, or none newer of their language."""
        newest: dict[str, float] = {}
        for each in self.watched:
            newest[each.language] = max(newest.get(each.language, 0.0), each.seen_at)
        return [
            each
            for each in self.watched
            if now - each.seen_at <= ACTIVE_S or each.seen_at == newest[each.language]
        ]

    def forget_old(self, now: float) -> None:
        """Leave out versions that have had no request for two weeks."""
        self.watched = [each for each in self.watched if now - each.seen_at <= _KEPT_S]
        kept = {each.calibration_version for each in self.watched}
        self.references = {key: ref for key, ref in self.references.items() if key in kept}


def load(path: Path) -> State:
    """Read a state; a new one where there is no file.

    Raises:
        ValueError: the file is no state.
        OSError: it cannot be read.
    """
    if not path.exists():
        return State()
    try:
        return State.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise ValueError(
            f"`{path}` is no state of this monitor; move it away, and baselines are learned anew"
        ) from None


def save(state: State, path: Path) -> None:
    """Write a state in one step, so that a crash leaves the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.new")
    with written.open("w", encoding="utf-8") as file:
        file.write(state.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
