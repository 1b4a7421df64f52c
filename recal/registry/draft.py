"""What is about to be registered: a verified artefact with everything that is said beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recal.calibration_tags import tags_of
from recal.errors import RegistryError
from recal.promotion import EVALUATION_TAGS, measured_of
from recal.registry.links import links_of
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import Calibration
from services.readout.naming import (
    DIGEST_TAG,
    KIND_TAG,
    READOUT,
    SIGNED_BY_TAG,
    WEIGHTS_DIGEST_TAG,
    calibration_model,
    readout_model,
)
from services.readout.signature import claimed_signer

if TYPE_CHECKING:
    from recal.evaluation.behaviour import LanguageResult


@dataclass(frozen=True)
class Draft:
    """A version that is not registered yet."""

    directory: Path
    model: str
    """Name of the registered model that it becomes a version of."""
    backbone: str
    """Name of the backbone that it belongs to."""
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    reports: tuple[Path, ...]
    """Files that are kept beside it."""


def _refuse_missing(reports: Sequence[Path]) -> None:
    for report in reports:
        if not report.is_file():
            raise RegistryError(f"the report `{report}` is not a file; leave it out or make it")


def draft_readout(directory: Path, reports: Sequence[Path] = ()) -> Draft:
    """A saved readout as it would be registered.

    Raises:
        ArtefactRefused: it does not load.
        RegistryError: a report is no file.
    """
    _refuse_missing(reports)
    readout = load_readout(directory)
    tags = {
        KIND_TAG: READOUT,
        DIGEST_TAG: readout.digest,
        WEIGHTS_DIGEST_TAG: readout.backbone.weights_digest,
        "places": " ".join(map(str, readout.places)),
        **_signed(directory),
    }
    name = readout.backbone.name
    return Draft(directory, readout_model(name), name, tags, {}, tuple(reports))


def draft_calibration(
    directory: Path,
    evaluation: LanguageResult | None = None,
    reports: Sequence[Path] = (),
) -> Draft:
    """A saved calibration as it would be registered.

    Args:
        directory: where it was saved.
        evaluation: what held-out prompts say of it.
        reports: the report that the evaluation is from, and other files to be kept beside it.

    Raises:
        ArtefactRefused: it does not load.
        RegistryError: the evaluation is of another calibration, or a report is no file.
    """
    _refuse_missing(reports)
    calibration = load_calibration(directory)
    if evaluation is not None:
        _refuse_other(evaluation, calibration)
    measured = measured_of(evaluation) if evaluation is not None else {}
    told = {name: repr(measured[name]) for name in EVALUATION_TAGS if name in measured}
    report = reports[0] if reports else None
    name = calibration.backbone.name
    return Draft(
        directory,
        calibration_model(name, calibration.language),
        name,
        tags={
            **tags_of(calibration),
            **told,
            **links_of(evaluation, report, calibration.example_hashes),
            **_signed(directory),
        },
        metrics={**calibration.metrics, **measured},
        reports=tuple(reports),
    )


def _signed(directory: Path) -> dict[str, str]:
    signer = claimed_signer(directory, f"artefact `{directory}`")
    return {} if signer is None else {SIGNED_BY_TAG: signer}


def _refuse_other(evaluation: LanguageResult, calibration: Calibration) -> None:
    """Check that an evaluation is of this very artefact: promotion will believe it."""
    if evaluation.language != calibration.language:
        raise RegistryError(
            f"the evaluation is of `{evaluation.language}`, the calibration of "
            f"`{calibration.language}`; register it with its own"
        )
    if evaluation.calibration_digest != calibration.digest:
        raise RegistryError(
            f"the evaluation is of a calibration {evaluation.calibration_digest[:12]} of "
            f"`{calibration.language}`, and this one is {calibration.digest[:12]}; run `recal "
            "evaluate` on it"
        )
