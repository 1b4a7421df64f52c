"""Entries reach files by a thread of their own; what cannot be written is counted, once told."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.audit.log import AuditLog
from services.telemetry import AUDIT_DROPPED, PrometheusMeter
from tests.unit.services.audit.entries import an_entry, lines_below

FULL = Path("/dev/full")
"""A file that says of every write that the disk is full."""


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter()


def dropped(meter: PrometheusMeter) -> float:
    return meter.registry.get_sample_value(f"{AUDIT_DROPPED.name}_total") or 0.0


def ids(directory: Path) -> list[str]:
    return sorted(line["request_id"] for line in lines_below(directory))


def test_every_entry_is_written_once_and_in_its_order(
    tmp_path: Path, meter: PrometheusMeter
) -> None:
    log = AuditLog(tmp_path / "audit", meter)
    for number in range(500):
        log.record(an_entry(number))
    log.close()
    assert [line["request_id"] for line in lines_below(tmp_path / "audit")] == [
        f"r-{number}" for number in range(500)
    ]
    assert dropped(meter) == 0


def test_nothing_is_made_before_the_first_entry(tmp_path: Path, meter: PrometheusMeter) -> None:
    log = AuditLog(tmp_path / "audit", meter)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_named_by_host_and_process(tmp_path: Path, meter: PrometheusMeter) -> None:
    log = AuditLog(tmp_path, meter)
    assert log.path.name.endswith(f"-{os.getpid()}.jsonl")


def test_files_rotate_at_their_size_and_the_oldest_goes(
    tmp_path: Path, meter: PrometheusMeter
) -> None:
    log = AuditLog(tmp_path, meter, max_bytes=4096, n_files=3)
    for number in range(200):
        log.record(an_entry(number))
    log.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())
    kept = ids(tmp_path)
    assert "r-199" in kept
    assert "r-0" not in kept
    assert len(kept) == len(set(kept))


def test_a_disk_that_hangs_stops_no_request_and_loses_what_does_not_fit(
    tmp_path: Path, meter: PrometheusMeter
) -> None:
    log = AuditLog(tmp_path, meter, most_waiting=10)
    os.mkfifo(log.path)  # opened for writing, it waits for a reader
    for number in range(50):
        log.record(an_entry(number))
    assert dropped(meter) >= 50 - 10 - 1
    log.close(timeout_s=0.05)
    reader = os.open(log.path, os.O_RDONLY | os.O_NONBLOCK)  # lets the thread go
    os.close(reader)


@pytest.fixture
def full(tmp_path: Path, meter: PrometheusMeter) -> Iterator[AuditLog]:
    """A log whose file lies on a full disk."""
    log = AuditLog(tmp_path, meter)
    log.path.symlink_to(FULL)
    yield log
    log.close()


def test_a_full_disk_is_counted_and_told_once_and_raises_nothing(
    full: AuditLog, meter: PrometheusMeter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        for number in range(20):
            full.record(an_entry(number))
        full.close()
    assert dropped(meter) == 20
    [told] = [record.getMessage() for record in caplog.records]
    assert "entries are lost (OSError)" in told
    assert "recal_audit_dropped" in told


def test_after_a_full_disk_what_comes_is_written_again_and_no_line_is_torn(
    full: AuditLog, meter: PrometheusMeter, tmp_path: Path
) -> None:
    full.record(an_entry(0))
    full.close()
    full.path.unlink()
    half = an_entry(1).line()[:40]
    full.path.write_text(half)  # what a disk that filled up in the middle of a line leaves
    full.record(an_entry(2))
    full.record(an_entry(3))
    full.close()
    assert dropped(meter) == 1
    first, *rest = full.path.read_text().splitlines()
    assert first == half
    assert [line[-1] for line in rest] == ["}", "}"]


def test_a_directory_that_cannot_be_made_is_counted(tmp_path: Path, meter: PrometheusMeter) -> None:
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "audit", meter)
    log.record(an_entry())
    log.close()
    assert dropped(meter) == 1


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path, meter: PrometheusMeter) -> None:
    log = AuditLog(tmp_path, meter)
    log.record(an_entry(0))
    written_through(log)
    log.path.unlink()
    log.record(an_entry(1))
    log.close()
    assert ids(tmp_path) == ["r-1"]


def written_through(log: AuditLog) -> None:
    """Wait until nothing waits for the disk."""
    for _ in range(2000):
        if log.path.exists() and log.path.stat().st_size:
            return
        threading.Event().wait(0.005)
    raise AssertionError("nothing was written")


def test_files_older_than_they_may_be_go_at_the_start_whosever_they_are(
    tmp_path: Path, meter: PrometheusMeter
) -> None:
    old, young, other = (tmp_path / name for name in ("a-1.jsonl.2", "b-2.jsonl", "notes.txt"))
    for path in (old, young, other):
        path.write_text("{}\n")
    for path in (old, other):
        os.utime(path, (1_000.0, 1_000.0))
    log = AuditLog(tmp_path, meter, keep_days=30)
    log.record(an_entry())
    log.close()
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_a_log_that_was_closed_begins_again(tmp_path: Path, meter: PrometheusMeter) -> None:
    log = AuditLog(tmp_path, meter)
    log.close()
    for number in range(2):
        log.record(an_entry(number))
        log.close()
    assert ids(tmp_path) == ["r-0", "r-1"]
