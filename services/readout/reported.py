"""What metrics say of the bundle that serves, and how two bundles are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from services.readout.bundle import Bundle, Calibration
from services.readout.naming import CHALLENGER, CHAMPION, SHADOW
from services.telemetry import (
    CALIBRATION_CREATED,
    CALIBRATION_INFO,
    CANARY_SHARE,
    THRESHOLD,
    Meter,
    Metric,
)

Series = tuple[Metric, tuple[tuple[str, str], ...]]
"""A metric and its labels."""


def report(meter: Meter, old: Bundle | None, new: Bundle | None) -> None:
    """Write what is loaded now, and take away what no longer is.

    Args:
        meter: where it is written.
        old: the bundle before; None: there was none.
        new: the bundle that serves; None: none does.
    """
    before = dict(_series(old)) if old else {}
    after = dict(_series(new)) if new else {}
    for metric, labels in before.keys() - after.keys():
        meter.forget(metric, **dict(labels))
    for (metric, labels), value in after.items():
        meter.gauge(metric, value, **dict(labels))


def contents(bundle: Bundle) -> tuple[object, ...]:
    """What two bundles have in common when they decide alike under the same version names."""
    return (
        bundle.readout.version,
        bundle.readout.digest,
        [(role, *each.key, each.digest) for role, each in _by_role(bundle)],
        sorted((language, each.share) for language, each in bundle.challengers.items()),
    )


def _series(bundle: Bundle) -> Iterator[tuple[Series, float]]:
    for role, calibration in _by_role(bundle):
        language = (("language", calibration.language),)
        version = (*language, ("calibration_version", calibration.version))
        info = (*version, ("estimator", calibration.estimator), ("role", role))
        yield (CALIBRATION_INFO, info), 1.0
        with suppress(ValueError):  # one that is no time is stale; the policy says so
            yield (CALIBRATION_CREATED, version), calibration.created_at.timestamp()
        if role == CHAMPION:
            yield (THRESHOLD, language), calibration.thresholds.steer
        if role == CHALLENGER:
            yield (CANARY_SHARE, language), bundle.challengers[calibration.language].share


def _by_role(bundle: Bundle) -> Iterator[tuple[str, Calibration]]:
    """By role, and then by language."""
    for language in sorted(bundle.calibrations):
        yield CHAMPION, bundle.calibrations[language]
    for language in sorted(bundle.challengers):
        yield CHALLENGER, bundle.challengers[language].calibration
    for language in sorted(bundle.shadows):
        yield SHADOW, bundle.shadows[language]
