"""What one look at the machine found: a level, a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It runs, but not everything, or not well."""
    FAIL = "fail"
    """Something that Recal needs does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    """What was looked at, in a word or two."""
    level: Level
    says: str
    """What was found, with the value."""
    remedy: str = ""
    """What to do; never empty unless the level is OK."""

    def __post_init__(self) -> None:
        if self.level is not Level.OK and not self.remedy:
            raise ValueError(f"the finding `{self.check}` is not ok and says not what to do")


Check = Callable[[], Iterable[Finding]]


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, says)


def warn(check: str, says: str, remedy: str) -> Finding:
    """It runs, but not everything, or not well."""
    return Finding(check, Level.WARN, says, remedy)


def fail(check: str, says: str, remedy: str) -> Finding:
    """Something that Recal needs does not work."""
    return Finding(check, Level.FAIL, says, remedy)


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level among findings; OK when there is none."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)
