"""Artefacts on disk to what a utility run needs: the backbone's answers and the live gate."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from recal.inputs import whole_backbone
from recal.utility.answers import Answers
from recal.utility.live_gate import LiveGate
from services.backbone.load import Backbone
from services.composition import load_language_id, notice_of, policy_of
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import Bundle
from services.settings import Settings


class Line(NamedTuple):
    """A backbone with its gate."""

    backbone: Backbone
    bundle: Bundle
    answers: Answers
    gate: LiveGate
    notice: str
    """What the backbone is, where it is not a production model."""


def assemble(settings: Settings, readout: Path, calibrations: Path, *, max_rows: int = 32) -> Line:
    """Load a backbone, a readout and every calibration in a folder.

    Raises:
        ArtefactRefused: the backbone or an artefact cannot be loaded, or they do not fit.
        ValueError: there is no calibration, or one belongs to another readout.
    """
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    frozen = load_readout(readout, backbone=backbone.identity)
    folders = sorted(path for path in calibrations.glob("*") if path.is_dir())
    if not folders:
        raise ValueError(f"no calibration in `{calibrations}`; run `recal recalibrate` first")
    loaded = [load_calibration(path, backbone=backbone.identity) for path in folders]
    bundle = Bundle(frozen, {calibration.language: calibration for calibration in loaded})
    gate = LiveGate(
        backbone,
        bundle,
        identify=load_language_id(settings).guess,
        policy=policy_of(settings),
    )
    answers = Answers(backbone, frozen.steering, max_rows=max_rows)
    return Line(backbone, bundle, answers, gate, notice_of(settings))
