"""The audit of several replicas, asked by `recal audit`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recal.audit_query import Wanted, counts, moment, search
from services.audit.log import AuditLog
from services.telemetry import PrometheusMeter
from tests.unit.recal.commands.collecting import recal
from tests.unit.services.audit.entries import an_entry

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Ten verdicts, dealt to the files of two replicas, one of which has rotated."""
    entries = [
        an_entry(
            number,
            language="sw" if number % 2 else None,
            action="steer" if number < 6 else "none",
            reason="score" if number % 2 else "language_unknown",
            calibration_version=("sw@8" if number > 6 else "sw@7") if number % 2 else None,
        )
        for number in range(10)
    ]
    for name, chosen in (
        ("b-1.jsonl", entries[0:8:2]),
        ("a-1.jsonl.1", entries[1:6:2]),
        ("a-1.jsonl", [*entries[7:8], *entries[8:]]),
    ):
        (tmp_path / name).write_text("".join(each.line() + "\n" for each in chosen))
    return tmp_path


def ids(directory: Path, *, tail: int | None = None, **wanted: Any) -> list[int]:
    found = search(directory, Wanted(**wanted), tail=tail)
    return [int(entry["request_id"].removeprefix("r-")) for entry in found.entries]


def test_entries_of_all_replicas_come_in_the_order_of_time(directory: Path) -> None:
    found = search(directory, Wanted())
    assert (found.n_files, found.n_unreadable) == (3, 0)
    assert ids(directory) == list(range(10))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"since": "2026-01-02T03:00:07.000Z"}, [7, 8, 9]),
        ({"until": "2026-01-02T03:00:02.000Z"}, [0, 1]),
        ({"language": "sw"}, [1, 3, 5, 7, 9]),
        ({"language": "unknown"}, [0, 2, 4, 6, 8]),
        ({"action": "none"}, [6, 7, 8, 9]),
        ({"version": "sw@8"}, [7, 9]),
        ({"version": "readout@3", "language": "sw", "action": "steer"}, [1, 3, 5]),
        ({"request_id": "r-4"}, [4]),
        ({"request_id": "r-44"}, []),
    ],
    ids=str,
)
def test_entries_are_chosen_by_each_of_their_fields(
    wanted: dict[str, str], expected: list[int], directory: Path
) -> None:
    assert ids(directory, **wanted) == expected


def test_a_tail_has_the_newest_in_the_order_of_time(directory: Path) -> None:
    assert ids(directory, tail=3) == [7, 8, 9]
    assert ids(directory, tail=2, language="sw") == [7, 9]


def test_lines_that_are_no_entries_are_counted_and_left_out(directory: Path) -> None:
    torn = an_entry(5).line()[:50]
    with (directory / "a-1.jsonl").open("a") as file:
        file.write(f"{torn}\n\n[]\n{{}}\n\x00\xff\n" + '{"time": 1}\n')
    found = search(directory, Wanted())
    assert (len(found.entries), found.n_unreadable) == (10, 5)


def test_one_file_under_two_names_is_read_once(directory: Path) -> None:
    """A file that is renamed between two looks at the directory."""
    (directory / "a-1.jsonl.2").hardlink_to(directory / "a-1.jsonl.1")
    assert ids(directory) == list(range(10))


def test_counts_are_by_language_action_reason_and_version_most_first(directory: Path) -> None:
    rows = [tuple(row) for row in counts(search(directory, Wanted()).entries)]
    assert rows == [
        ("sw", "steer", "score", "sw@7", 3),
        ("unknown", "steer", "language_unknown", "", 3),
        ("sw", "none", "score", "sw@8", 2),
        ("unknown", "none", "language_unknown", "", 2),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", "2026-01-02T11:30:00.000Z"),
        ("2d", "2025-12-31T12:00:00.000Z"),
        ("90s", "2026-01-02T11:58:30.000Z"),
        ("2026-01-02", "2026-01-02T00:00:00.000Z"),
        ("2026-01-02T05:00:00+02:00", "2026-01-02T03:00:00.000Z"),
        ("2026-01-02T03:00:00Z", "2026-01-02T03:00:00.000Z"),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, expected: str) -> None:
    assert moment(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "5", "5w", "-5m", "2026-13-01"])
def test_what_is_no_time_is_told_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; give 2026-01-31T12:00:00Z"):
        moment(text, now=NOW)


def test_the_command_gives_lines_of_json(directory: Path) -> None:
    done = recal("audit", "--directory", directory, "--language", "sw", "--tail", 2, "--json")
    assert [json.loads(line)["request_id"] for line in done.output.splitlines()] == ["r-7", "r-9"]


def test_the_command_gives_a_line_for_people(directory: Path) -> None:
    done = recal("audit", "--directory", directory, "--request-id", "r-1")
    assert done.output == (
        "2026-01-02T03:00:01.000Z  sw  steer  score  sw@7  above  Check  r-1  12 ms\n"
    )


def test_the_command_counts(directory: Path) -> None:
    done = recal("audit", "--directory", directory, "--since", "2026-01-01", "--counts", "--json")
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [row["n"] for row in rows] == [3, 3, 2, 2]
    shown = recal("audit", "--directory", directory, "--since", "2026-01-01", "--counts")
    assert "sw@8" in shown.output


def test_without_options_it_is_the_last_hour_that_is_shown(directory: Path) -> None:
    done = recal("audit", "--directory", directory)
    assert (done.exit_code, done.stdout) == (0, "")


def test_the_settings_say_where_the_audit_lies(directory: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"audit: {{directory: {directory}}}")
    done = recal("audit", "--config", settings, "--action", "none", "--json")
    assert len(done.output.splitlines()) == 4


def test_a_directory_that_is_not_there_and_an_unknown_action_are_told(tmp_path: Path) -> None:
    done = recal("audit", "--directory", tmp_path / "none", "--tail", 1)
    assert "there is no audit at" in str(done.exception)
    done = recal("audit", "--directory", tmp_path, "--action", "stear")
    assert "give one of release, none, steer, refuse" in str(done.exception)


def test_what_the_log_writes_is_found(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, PrometheusMeter(), max_bytes=4096, n_files=9)
    for number in range(100):
        log.record(an_entry(number))
    log.close()
    found = search(tmp_path, Wanted())
    assert found.n_files > 1
    assert ids(tmp_path) == list(range(100))
