"""What a gate holds, as those may know it who ask: champions, and what is tried beside them."""

from __future__ import annotations

from services.backbone.load import Backbone
from services.domain import CandidateRole, CandidateSummary, GateDescription
from services.readout.bundle import Bundle


def describe(backbone: Backbone, bundle: Bundle, *, notice: str = "") -> GateDescription:
    """Say what is loaded.

    Args:
        backbone: the model.
        bundle: what was learned.
        notice: what the model is, where it is not a production model.
    """
    version = bundle.readout.version
    return GateDescription(
        model=backbone.identity.name,
        model_digest=backbone.identity.weights_digest,
        readout_version=version,
        max_prompt_tokens=backbone.max_prompt_tokens,
        calibrations=tuple(
            bundle.calibrations[language].summary(version)
            for language in sorted(bundle.calibrations)
        ),
        notice=notice,
        candidates=_candidates(bundle),
    )


def _candidates(bundle: Bundle) -> tuple[CandidateSummary, ...]:
    version = bundle.readout.version
    found: list[CandidateSummary] = []
    for language in sorted({*bundle.challengers, *bundle.shadows}):
        if challenger := bundle.challengers.get(language):
            summary = challenger.calibration.summary(version)
            found.append(CandidateSummary(summary, CandidateRole.CHALLENGER, challenger.share))
        if shadow := bundle.shadows.get(language):
            found.append(CandidateSummary(shadow.summary(version), CandidateRole.SHADOW))
    return tuple(found)
