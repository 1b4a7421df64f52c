"""One verdict as a line of the audit: who, what, under which versions; no text, no score."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from services.domain import Verdict

Rpc = Literal["Generate", "Check"]

_NEAR, _FAR = 0.25, 1.0
"""Bounds of a margin's buckets, in the score's standard deviations."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is kept of one verdict. Its fields are the keys of a line."""

    time: str
    """RFC 3339, UTC, milliseconds: when the verdict was there."""
    request_id: str
    """The caller's `x-request-id`, or the one that it was given and got back."""
    rpc: Rpc
    mode: str
    """`split`, `fused` or `sidecar`."""
    tenant: str | None
    language: str | None
    """BCP 47 tag; None where it is unknown."""
    action: str
    reason: str
    readout_version: str
    calibration_version: str | None
    margin: str | None
    """How far the score lay from the steer threshold, as a word; None where nothing was scored."""
    bypassed: bool
    seconds: float
    """From the request to its verdict."""

    def line(self) -> str:
        """The entry as one line of JSON, without its line feed."""
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":"))


class Audit(Protocol):
    """Where entries go. Neither waits nor fails: a request must not notice."""

    def record(self, entry: AuditEntry) -> None:
        """Keep one entry."""


class NoAudit:
    """Keeps nothing."""

    def record(self, entry: AuditEntry) -> None:
        """Forget it."""

    def close(self) -> None:
        """There is nothing to write."""


def entry_of(
    verdict: Verdict,
    *,
    rpc: Rpc,
    mode: str,
    request_id: str,
    tenant: str | None,
    seconds: float,
    now: datetime | None = None,
) -> AuditEntry:
    """What is kept of a verdict.

    Args:
        verdict: what was decided.
        rpc: what was asked.
        mode: how the service is deployed.
        request_id: of the call.
        tenant: whose policy rows counted.
        seconds: from the request to its verdict.
        now: the time; by default the present one.
    """
    at = (now or datetime.now(UTC)).astimezone(UTC)
    return AuditEntry(
        time=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        request_id=request_id,
        rpc=rpc,
        mode=mode,
        tenant=tenant,
        language=verdict.language,
        action=verdict.action.value,
        reason=verdict.reason.value,
        readout_version=verdict.readout_version,
        calibration_version=verdict.calibration_version,
        margin=margin_of(verdict.score, verdict.threshold),
        bypassed=verdict.bypassed,
        seconds=round(seconds, 6),
    )


def margin_of(score: float | None, threshold: float | None) -> str | None:
    """A word for how far a score lies from its threshold; None without either.

    Five words and no number: whoever reads the audit must not be able to climb along the score.
    """
    if score is None or threshold is None:
        return None
    margin = score - threshold
    if not math.isfinite(margin):
        return "not_finite"
    if abs(margin) < _NEAR:
        return "near"
    side = "above" if margin > 0 else "below"
    return f"far_{side}" if abs(margin) >= _FAR else side
