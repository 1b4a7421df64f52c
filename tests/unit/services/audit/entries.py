"""Entries for tests, and the lines of files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.audit.entry import AuditEntry

ENTRY = AuditEntry(
    time="2026-01-02T03:04:05.678Z",
    request_id="r-0",
    rpc="Check",
    mode="split",
    tenant=None,
    language="sw",
    action="steer",
    reason="score",
    readout_version="readout@3",
    calibration_version="sw@7",
    margin="above",
    bypassed=False,
    seconds=0.012,
)


def an_entry(number: int = 0, **fields: Any) -> AuditEntry:
    """An entry; a larger number is a later one."""
    at = f"2026-01-02T03:{number // 60:02}:{number % 60:02}.000Z"
    return replace(ENTRY, **{"time": at, "request_id": f"r-{number}", **fields})


def lines_below(directory: Path) -> list[dict[str, Any]]:
    """Every line of every file, none of which may be torn."""
    paths = sorted(directory.glob("*.jsonl*"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
