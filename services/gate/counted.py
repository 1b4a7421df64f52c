"""What is counted of every verdict, whoever found it."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from services.crash import whereabouts
from services.domain import Verdict
from services.errors import ServiceError
from services.gate.decide import decide
from services.gate.law import Case
from services.readout.bundle import Bundle
from services.readout.scores import Scores
from services.telemetry import (
    BYPASSES,
    NO_VERSION,
    OTHER_LANGUAGE,
    SCORE,
    SHADOW_COMPARISONS,
    VERDICTS,
    Meter,
)

log = logging.getLogger(__name__)

FAILS = "fail"
"""In place of an action: the policy ends such a call."""
BROKE = "broke"
"""In place of an action: there is none, by a fault that the log names."""


def count_verdict(meter: Meter, verdict: Verdict, bundle: Bundle) -> None:
    """Count a verdict, its score and whether a looser policy let it through.

    Args:
        meter: where it is counted.
        verdict: what was decided.
        bundle: that it was decided under; a language without a calibration there is counted as
            `other`, so that callers cannot make series.
    """
    language = verdict.language if bundle.knows(verdict.language) else None
    label = language or OTHER_LANGUAGE
    version = verdict.calibration_version or NO_VERSION
    meter.count(
        VERDICTS,
        language=label,
        action=verdict.action.value,
        reason=verdict.reason.value,
        calibration_version=version,
    )
    if verdict.score is not None and math.isfinite(verdict.score):
        meter.observe(SCORE, verdict.score, language=label, calibration_version=version)
    if verdict.bypassed:
        meter.count(BYPASSES, language=label, reason=verdict.reason.value)


def count_shadow(meter: Meter, case: Case, scores: Scores) -> None:
    """Count what a request's champion and its shadow would each have done; never raises.

    Both are asked as if there were no hint and no challenger, so that calibrations are compared and
    nothing else. Where the language has no champion, the policy's row stands for it.

    Args:
        meter: where it is counted.
        case: of the request, whatever was decided.
        scores: of its prompt, under the case's bundle.
    """
    shadow = case.bundle.shadows.get(case.guess.language or "")
    if shadow is None:
        return
    champion = replace(case, hint=None, routing_key=None)
    meter.count(
        SHADOW_COMPARISONS,
        language=shadow.language,
        calibration_version=shadow.version,
        champion_action=_action(champion, scores),
        shadow_action=_action(replace(champion, instead=shadow), scores),
    )


def _action(case: Case, scores: Scores) -> str:
    try:
        return decide(case, scores).action.value
    except ServiceError:
        return FAILS
    except Exception as error:
        # whatever a shadow does wrong must not touch the request beside which it is scored
        log.error("no shadow's verdict to compare: %s", whereabouts(error))
        return BROKE
