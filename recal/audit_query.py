"""Entries of the audit across replicas: read from their files, chosen, in the order of time."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

from services.audit.entry import AuditEntry
from services.audit.log import SUFFIX

Entry = dict[str, Any]
"""A line's fields, as `services.audit.entry.AuditEntry` names them."""

_KEYS = frozenset(field.name for field in fields(AuditEntry))
_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NOBODY = "unknown"


@dataclass(frozen=True)
class Wanted:
    """Which entries are looked for; None: all."""

    since: str | None = None
    """As a line's `time`."""
    until: str | None = None
    """As a line's `time`, not included."""
    language: str | None = None
    """`unknown` for those without one."""
    action: str | None = None
    version: str | None = None
    """Of a calibration or a readout."""
    request_id: str | None = None

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is one of them."""
        language = entry["language"] or _NOBODY
        versions = (entry["calibration_version"], entry["readout_version"])
        return (
            (self.since is None or entry["time"] >= self.since)
            and (self.until is None or entry["time"] < self.until)
            and self.language in (None, language)
            and self.action in (None, entry["action"])
            and (self.version is None or self.version in versions)
            and self.request_id in (None, entry["request_id"])
        )


class Found(NamedTuple):
    """What a search found."""

    entries: list[Entry]
    """In the order of time."""
    n_files: int
    n_unreadable: int
    """Lines that are no entries: cut short by a full disk or a crash."""


def search(directory: Path, wanted: Wanted, *, tail: int | None = None) -> Found:
    """Look through the files of all replicas.

    Args:
        directory: where they lie.
        wanted: which entries.
        tail: only so many, the newest; None: all.

    Raises:
        ValueError: there is no such directory.
    """
    if not directory.is_dir():
        raise ValueError(
            f"there is no audit at `{directory}`; see `audit.directory` and `audit.enabled`"
        )
    with ExitStack() as stack:
        # All are opened before one is read: a file that is renamed meanwhile is read once.
        files = _opened(directory, stack)
        reader = _Reader(files)
        chosen = (entry for entry in reader if wanted.holds(entry))
        newest = chosen if tail is None else heapq.nlargest(tail, chosen, key=_time)
        entries = sorted(newest, key=_time)
    return Found(entries, len(files), reader.n_unreadable)


def _time(entry: Entry) -> str:
    return str(entry["time"])


def _opened(directory: Path, stack: ExitStack) -> list[IO[str]]:
    files: dict[tuple[int, int], IO[str]] = {}
    for path in sorted(directory.glob(f"*{SUFFIX}*")):
        try:
            file = stack.enter_context(path.open(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            continue  # its name has just changed, or it was deleted for its age
        status = os.fstat(file.fileno())
        files.setdefault((status.st_dev, status.st_ino), file)
    return list(files.values())


class _Reader:
    """The entries of some files, and how many lines were none."""

    def __init__(self, files: Iterable[IO[str]]) -> None:
        self._files = files
        self.n_unreadable = 0

    def __iter__(self) -> Iterator[Entry]:
        for file in self._files:
            for line in file:
                if line.isspace():
                    continue
                entry = _entry(line)
                if entry is None:
                    self.n_unreadable += 1
                else:
                    yield entry


def _entry(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    is_one = isinstance(entry, dict) and entry.keys() >= _KEYS and isinstance(entry["time"], str)
    return entry if is_one else None


class Count(NamedTuple):
    """How many verdicts were alike."""

    language: str
    action: str
    reason: str
    calibration_version: str
    n: int


def counts(entries: Iterable[Entry]) -> list[Count]:
    """How many there are of each language, action, reason and version; most first."""
    tally = Counter(
        (
            entry["language"] or _NOBODY,
            entry["action"],
            entry["reason"],
            entry["calibration_version"] or "",
        )
        for entry in entries
    )
    return [
        Count(*key, n) for key, n in sorted(tally.items(), key=lambda each: (-each[1], each[0]))
    ]


def moment(text: str, *, now: datetime) -> str:
    """A time as lines have it.

    Args:
        text: RFC 3339 with an offset, a date (UTC), or how long ago: `90s`, `30m`, `12h`, `7d`.
        now: the present.

    Raises:
        ValueError: it is none of these.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        at = now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"`{text[:40]}` is no time; give 2026-01-31T12:00:00Z, 2026-01-31, or how long "
                "ago: 90s, 30m, 12h, 7d"
            ) from None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
