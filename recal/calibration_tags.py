"""What the registry says of a calibration beside its files."""

from __future__ import annotations

from services.readout.bundle import Calibration
from services.readout.naming import (
    CALIBRATION,
    DIGEST_TAG,
    DISAGREEMENT_TAG,
    ESTIMATOR_TAG,
    K_TAG,
    KIND_TAG,
    LANGUAGE_TAG,
    OWN_READOUT_TAG,
    READOUT_DIGEST_TAG,
    VACUOUS_TAG,
    WEIGHTS_DIGEST_TAG,
)


def tags_of(calibration: Calibration) -> dict[str, str]:
    """Tags of a registered version; what does not hold of it has none."""
    tags = {
        KIND_TAG: CALIBRATION,
        LANGUAGE_TAG: calibration.language,
        DIGEST_TAG: calibration.digest,
        READOUT_DIGEST_TAG: calibration.readout_digest,
        WEIGHTS_DIGEST_TAG: calibration.backbone.weights_digest,
        K_TAG: str(calibration.k),
        ESTIMATOR_TAG: calibration.estimator,
    }
    if calibration.vacuous:
        tags[VACUOUS_TAG] = "true"
    if calibration.own is not None:
        tags[OWN_READOUT_TAG] = calibration.own.method
    if DISAGREEMENT_TAG in calibration.evidence:
        tags[DISAGREEMENT_TAG] = f"{calibration.evidence[DISAGREEMENT_TAG]:.3f}"
    return tags
