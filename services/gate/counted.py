"""What is counted of every verdict, whoever found it."""

from __future__ import annotations

import math

from services.domain import Verdict
from services.readout.bundle import Bundle
from services.telemetry import BYPASSES, NO_VERSION, OTHER_LANGUAGE, SCORE, VERDICTS, Meter


def count_verdict(meter: Meter, verdict: Verdict, bundle: Bundle) -> None:
    """Count a verdict, its score and whether a looser policy let it through.

    Args:
        meter: where it is counted.
        verdict: what was decided.
        bundle: that it was decided under; a language without a calibration there is counted as
            `other`, so that callers cannot make series.
    """
    language = verdict.language if verdict.language in bundle.calibrations else None
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
