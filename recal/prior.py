"""What other languages' calibrations say of one language: where its threshold may lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recal.languages import ALL, tier_of
from recal.maths.correlation import Correlation, pooled_rho
from recal.maths.estimators.paired import RHO_BEFORE_ANY
from recal.maths.prior import OwnThreshold, Prior, prior_of
from services.readout.bundle import Calibration, Readout

OWN_THRESHOLD = "own_threshold"
OWN_SD = "own_sd"
RHO = "rho"
RHO_FREEDOM = "rho_freedom"
"""Names of `Calibration.evidence` that are read here."""

MIN_OF_TIER = 3
"""Languages of the same tier from which those of others have no say."""

_OF_LABELS_ALONE = frozenset({"midpoint", "paper_f1", "paired"})


def own_thresholds(
    calibrations: Iterable[Calibration], readout: Readout
) -> dict[str, OwnThreshold]:
    """Thresholds by language from each one's own evidence, of calibrations of this readout.

    Source languages share one threshold that is not their own, and are left out; so is what says
    nothing of its own evidence, and what scores by a readout of its own: in another unit.
    """
    found = {}
    for calibration in calibrations:
        own = _own(calibration)
        if own is not None and calibration.readout_digest == readout.digest:
            found[calibration.language] = own
    return found


def _own(calibration: Calibration) -> OwnThreshold | None:
    evidence = calibration.evidence
    if calibration.own is not None:
        return None
    if evidence.get(OWN_SD, 0.0) > 0:
        return OwnThreshold(evidence[OWN_THRESHOLD], evidence[OWN_SD])
    # made before evidence was kept
    if calibration.estimator in _OF_LABELS_ALONE and calibration.posterior_sd > 0:
        return OwnThreshold(calibration.threshold, calibration.posterior_sd)
    return None


def prior_for(language: str, thresholds: Mapping[str, OwnThreshold]) -> Prior | None:
    """The prior of a language from the others: of its tier where three of it are known, else all.

    Safety training is thin in a whole tier at once, so low-resource languages' thresholds lie
    together, far from mid-resource ones'.

    Args:
        language: never its own prior, also where it is among the thresholds.
        thresholds: by language, each from its own evidence.

    Returns:
        None where no other language is known.
    """
    others = {la: own for la, own in thresholds.items() if la != language}
    alike = {la: own for la, own in others.items() if _tier(la) == _tier(language) is not None}
    chosen = alike if len(alike) >= MIN_OF_TIER else others
    return prior_of(chosen) if chosen else None


def _tier(language: str) -> str | None:
    return tier_of(language) if language in ALL else None


def rho_for(language: str, calibrations: Iterable[Calibration], readout: Readout) -> float | None:
    """Correlation of scores with their source translations', pooled over the other languages.

    Returns:
        None where no other language has any.
    """
    found = [
        Correlation(calibration.evidence[RHO], calibration.evidence.get(RHO_FREEDOM, 0.0))
        for calibration in calibrations
        if RHO in calibration.evidence
        and calibration.own is None
        and calibration.language != language
        and calibration.readout_digest == readout.digest
    ]
    return pooled_rho(found, before_any=RHO_BEFORE_ANY) if found else None
