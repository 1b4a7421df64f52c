"""What the registry says of a calibration beside its files."""

from __future__ import annotations

from recal.maths.estimators import translate_train
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

LABEL_FREE_TAG = "label_free"
"""What a calibration's threshold was made of that needs no labelled example of the language:
`unlabelled`, `parallel`, `translated`. Not there where it was made of examples alone."""

_LABEL_FREE_PARTS = {"unlabelled": "unlabelled", "parallel": "parallel"} | {
    name: "translated" for name in ("translated", translate_train.NAME)
}
"""What is known beside labels, by the part of an estimate or the estimator that used it."""


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
    label_free = _label_free(calibration)
    if label_free:
        tags[LABEL_FREE_TAG] = " ".join(label_free)
    if calibration.vacuous:
        tags[VACUOUS_TAG] = "true"
    if calibration.own is not None:
        tags[OWN_READOUT_TAG] = calibration.own.method
    if DISAGREEMENT_TAG in calibration.evidence:
        tags[DISAGREEMENT_TAG] = f"{calibration.evidence[DISAGREEMENT_TAG]:.3f}"
    return tags


def _label_free(calibration: Calibration) -> list[str]:
    named = [part for part in _LABEL_FREE_PARTS if f"{part}_sd" in calibration.evidence]
    return sorted(
        {
            _LABEL_FREE_PARTS[each]
            for each in (*named, calibration.estimator)
            if each in _LABEL_FREE_PARTS
        }
    )
