from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.audit.entry import AuditEntry, entry_of, margin_of
from tests.behind import STEER


def entry(**verdict: object) -> AuditEntry:
    return entry_of(
        replace(STEER, **verdict),  # type: ignore[arg-type]
        rpc="Generate",
        mode="fused",
        request_id="r-1",
        tenant="acme",
        seconds=0.0123456789,
        now=datetime(2026, 1, 2, 5, 4, 5, 678901, timezone(timedelta(hours=2))),
    )


def test_a_line_says_who_what_and_under_which_versions() -> None:
    assert json.loads(entry().line()) == {
        "time": "2026-01-02T03:04:05.678Z",
        "request_id": "r-1",
        "rpc": "Generate",
        "mode": "fused",
        "tenant": "acme",
        "language": "sw",
        "action": "steer",
        "reason": "score",
        "readout_version": "readout@3",
        "calibration_version": "sw@7",
        "margin": "above",
        "bypassed": False,
        "seconds": 0.012346,
    }


def test_a_line_has_neither_score_nor_threshold_nor_text() -> None:
    names = {field.name for field in fields(AuditEntry)}
    assert not names & {"score", "threshold", "prompt", "text", "completion"}
    line = entry(score=1.2345678, threshold=0.7654321).line()
    assert "2345" not in line
    assert "7654" not in line


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    line = entry(language="sw\n\u2028\x00\ud800").line()
    assert line.isascii()
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("margin", "word"),
    [
        (-3.0, "far_below"),
        (-1.0, "far_below"),
        (-0.9, "below"),
        (-0.25, "below"),
        (-0.24, "near"),
        (0.0, "near"),
        (0.25, "above"),
        (1.0, "far_above"),
        (math.nan, "not_finite"),
        (math.inf, "not_finite"),
    ],
)
def test_a_margin_is_a_word(margin: float, word: str) -> None:
    assert margin_of(margin, 0.0) == word


@pytest.mark.parametrize(("score", "threshold"), [(None, 1.0), (1.0, None), (None, None)])
def test_what_was_not_scored_has_no_margin(score: float | None, threshold: float | None) -> None:
    assert margin_of(score, threshold) is None


def test_the_present_time_is_taken_by_default() -> None:
    made = entry_of(STEER, rpc="Check", mode="split", request_id="r", tenant=None, seconds=0.0)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made.time)) < timedelta(minutes=1)
