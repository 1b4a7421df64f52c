"""Entries to rotating files, by a thread of their own: no request waits, none fails."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from services.audit.entry import AuditEntry
from services.telemetry import AUDIT_DROPPED, Meter

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
_MOST_WAITING = 10_000
"""Entries in memory; a disk that is slower than so many requests loses the rest, counted."""
_SECONDS_A_DAY = 86_400.0


class AuditLog:
    """Files of one process, named by host and process so that no two rotate the same one."""

    def __init__(
        self,
        directory: Path,
        meter: Meter,
        *,
        max_bytes: int = 10 * 2**20,
        n_files: int = 5,
        keep_days: float | None = None,
        most_waiting: int = _MOST_WAITING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Write below `directory`; nothing is made there before the first entry.

        Args:
            directory: of all processes' files.
            meter: where lost entries are counted.
            max_bytes: of one file, before the next is begun.
            n_files: of this process, the present one included.
            keep_days: files that were last written longer ago are deleted, whosever they are.
            most_waiting: entries that wait for the disk; more are lost.
            clock: seconds since 1970.
        """
        self.path = directory / f"{_host()}-{os.getpid()}{SUFFIX}"
        self._meter = meter
        self._keep_s = None if keep_days is None else keep_days * _SECONDS_A_DAY
        self._clock = clock
        self._waiting: queue.Queue[AuditEntry | None] = queue.Queue(most_waiting)
        self._file = _File(self.path, max_bytes, n_files, self._lost)
        self._is_told = False
        self._thread: threading.Thread | None = None

    def record(self, entry: AuditEntry) -> None:
        """Keep one entry; returns at once. One that cannot be kept is counted."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self._lost("the disk is slower than the requests")

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, then end; a disk that hangs is given up after `timeout_s`."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.close)
        with suppress(queue.Full):
            self._waiting.put(None, timeout=timeout_s)
        thread.join(timeout_s)

    def _write(self) -> None:
        self._sweep()
        while (entry := self._waiting.get()) is not None:
            if self._file.write(entry.line()):
                self._sweep()
        self._file.close()

    def _sweep(self) -> None:
        """Delete files that are older than they may be."""
        if self._keep_s is None:
            return
        with suppress(OSError):
            for path in self.path.parent.glob(f"*{SUFFIX}*"):
                if self._clock() - path.stat().st_mtime > self._keep_s:
                    path.unlink(missing_ok=True)

    def _lost(self, why: str) -> None:
        self._meter.count(AUDIT_DROPPED)
        if not self._is_told:
            self._is_told = True
            log.error(
                "audit: entries are lost (%s); see `audit.directory` and the metric `%s`",
                why,
                AUDIT_DROPPED.name,
            )


class _File(RotatingFileHandler):
    """A rotating file that says whether it began another, and tells of what it could not write."""

    def __init__(
        self, path: Path, max_bytes: int, n_files: int, lost: Callable[[str], None]
    ) -> None:
        super().__init__(
            path, maxBytes=max_bytes, backupCount=n_files - 1, encoding="ascii", delay=True
        )
        self._tell = lost
        self._has_rotated = False
        self._is_torn = False
        """The last line may have been written in part."""

    def write(self, line: str) -> bool:
        """Append a line; True when that began another file."""
        self._has_rotated = False
        self._let_go_of_a_deleted_file()
        torn, self._is_torn = self._is_torn, False
        self.emit(logging.makeLogRecord({"msg": "\n" + line if torn else line}))
        return self._has_rotated

    def _let_go_of_a_deleted_file(self) -> None:
        """Somebody may have taken it away, or put another in its place."""
        if self.stream is None:
            return
        try:
            there = os.stat(self.baseFilename)
            here = os.fstat(self.stream.fileno())
        except (OSError, ValueError):
            self._let_go()
        else:
            if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
                self._let_go()

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return super()._open()

    def doRollover(self) -> None:  # noqa: N802
        """Begin another file."""
        super().doRollover()
        self._has_rotated = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Let go of the file and of what it holds back; the next line opens it again."""
        error = sys.exc_info()[0]
        self._let_go()
        self._is_torn = True
        self._tell(error.__name__ if error is not None else "unknown")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:60] or "host"
