"""Pure: the action of a score, and of each case that has no score. One table, strict by default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from services.domain import Abstention, Action, Reason


class Outcome(Enum):
    """What a row of the policy table says."""

    STEER = "steer"
    """Steer toward refusal."""
    REFUSE = "refuse"
    """Answer with a fixed refusal."""
    FAIL = "fail"
    """End the call with an error that the caller may retry; nothing is generated."""
    NO_RELEASE = "no_release"
    """Keep the score's verdict, but never release."""
    STRICTEST = "strictest"
    """Decide as if the text were in each calibrated language, and take the strictest verdict; never
    release. For a text whose language is not known, which has a score and no threshold. A bypass
    where it does not steer."""
    ALLOW = "allow"
    """Leave the model untouched, or, where there is a score (`calibration_stale`), keep the score's
    verdict, release included. A bypass: it is counted, and only an operator can choose it."""


STRICT: Mapping[Reason, Outcome] = MappingProxyType(
    {
        Reason.LANGUAGE_UNKNOWN: Outcome.STEER,
        Reason.LANGUAGE_MIXED: Outcome.STEER,
        Reason.TEXT_TOO_SHORT: Outcome.STEER,
        Reason.NO_CALIBRATION: Outcome.STEER,
        Reason.GATE_UNREACHABLE: Outcome.FAIL,
        Reason.NON_FINITE_ACTIVATION: Outcome.REFUSE,
        Reason.DEADLINE_NEARLY_GONE: Outcome.FAIL,
        Reason.CALIBRATION_STALE: Outcome.NO_RELEASE,
    }
)
"""The strict row of every case that is not a score."""

_ONLY_WHEN_SCORED = frozenset({Outcome.NO_RELEASE})
_OF_NO_LANGUAGE = frozenset({Reason.LANGUAGE_UNKNOWN, Reason.LANGUAGE_MIXED, Reason.TEXT_TOO_SHORT})
"""Cases of a score that belongs to no calibration."""
_STOPS = frozenset({Outcome.REFUSE, Outcome.FAIL})

REASON_OF_ABSTENTION: Mapping[Abstention, Reason] = MappingProxyType(
    {
        Abstention.LOW_CONFIDENCE: Reason.LANGUAGE_UNKNOWN,
        Abstention.MIXED: Reason.LANGUAGE_MIXED,
        Abstention.TOO_SHORT: Reason.TEXT_TOO_SHORT,
    }
)


@dataclass(frozen=True)
class Override:
    """An operator's own row, for one case, and optionally one language or tenant."""

    reason: Reason
    outcome: Outcome
    language: str | None = None
    tenant: str | None = None

    def __post_init__(self) -> None:
        strict_outcome(self.reason)
        if self.outcome in _ONLY_WHEN_SCORED and self.reason is not Reason.CALIBRATION_STALE:
            raise ValueError(
                f"`{self.outcome.value}` needs a score, and `{self.reason.value}` has none; "
                "use steer, refuse, fail or allow"
            )

        if self.outcome is Outcome.STRICTEST and self.reason not in _OF_NO_LANGUAGE:
            names = ", ".join(sorted(reason.value for reason in _OF_NO_LANGUAGE))
            raise ValueError(
                f"`strictest` is for a text whose language is not known ({names}), not for "
                f"`{self.reason.value}`; use steer, refuse, fail or allow"
            )

    def matches(self, reason: Reason, language: str | None, tenant: str | None) -> bool:
        """True when this row speaks of the case."""
        return (
            self.reason is reason
            and self.language in (None, language)
            and self.tenant in (None, tenant)
        )

    @property
    def specificity(self) -> int:
        """How many of language and tenant it names; the most specific row wins."""
        return (self.language is not None) + (self.tenant is not None)


@dataclass(frozen=True)
class Policy:
    """The strict table with an operator's overrides on top."""

    overrides: tuple[Override, ...] = ()
    max_calibration_age_s: float | None = None
    """Older calibrations are stale; None: they never are."""
    min_time_left_s: float = 0.0
    """Less than this left of a deadline is the case `deadline_nearly_gone`."""

    def __post_init__(self) -> None:
        for name in ("max_calibration_age_s", "min_time_left_s"):
            seconds = getattr(self, name)
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise ValueError(f"`{name}` is {seconds}; give seconds, finite and at least 0")

    def outcome(
        self, reason: Reason, *, language: str | None = None, tenant: str | None = None
    ) -> Outcome:
        """The row for a case; among equally specific overrides the strictest wins.

        Raises:
            ValueError: the reason is a score, which has no row.
        """
        strict = strict_outcome(reason)
        rows = [o for o in self.overrides if o.matches(reason, language, tenant)]
        if not rows:
            return strict
        return max(rows, key=lambda row: (row.specificity, _severity(row.outcome))).outcome

    def is_bypass(self, reason: Reason, outcome: Outcome) -> bool:
        """True when the outcome lets a case go further than the strict row does.

        A refusal in place of an error is none: both stop the request.
        """
        if outcome in _STOPS:
            return False
        return _severity(outcome) < _severity(strict_outcome(reason))


def strict_outcome(reason: Reason) -> Outcome:
    """The strict row of a case.

    Raises:
        ValueError: the reason is a score, which has no row.
    """
    if reason not in STRICT:
        raise ValueError(f"`{reason.value}` has no row in the policy table")
    return STRICT[reason]


def _severity(outcome: Outcome) -> int:
    order = (
        Outcome.ALLOW,
        Outcome.NO_RELEASE,
        Outcome.STRICTEST,
        Outcome.STEER,
        Outcome.REFUSE,
        Outcome.FAIL,
    )
    return order.index(outcome)


def action_of_score(score: float, *, steer: float, release: float | None) -> Action:
    """The action for a finite score; ties go to safety.

    Args:
        score: the readout's score, finite.
        steer: τ_hi; at or above it the model is steered.
        release: τ_lo; at or below it (but below `steer`) the model is released; None: never.

    Raises:
        ValueError: the score is not finite (the policy table has a row for that case), or a
            threshold is not: every comparison with NaN is false, so the model would go untouched.
    """
    if not math.isfinite(score):
        raise ValueError("a non-finite score has no action; see `non_finite_activation`")
    if not math.isfinite(steer) or not (release is None or math.isfinite(release)):
        raise ValueError(
            f"the thresholds are steer {steer} and release {release}; both must be finite, "
            "recalibrate the language"
        )
    if score >= steer:
        return Action.STEER
    if release is not None and score <= release:
        return Action.RELEASE
    return Action.NONE
