"""Artefacts of one backbone of its own, saved and registered: what a registry test begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recal.evaluation.behaviour import Behaviour, LanguageResult
from recal.registry import RegisteredVersion, Registry
from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import BackboneIdentity, Calibration, Readout
from services.readout.mlflow_source import MlflowSource
from services.readout.naming import calibration_model, readout_model
from tests.unit.services.readout.factories import BACKBONE, a_calibration, a_readout

UNEVALUATED = "a test of serving, which no evaluation is about"


def an_evaluation(
    calibration: Calibration,
    *,
    untouched: float = 40.0,
    gated: float = 90.0,
    change_low: float = 30.0,
    delta_low: float = 70.0,
    n: int = 60,
    data: str = "e" * 64,
) -> LanguageResult:
    """What held-out prompts say of a saved calibration: by default, that it may be promoted."""
    return LanguageResult(
        language=calibration.language,
        tier="low",
        n_harmful=n,
        n_harmless=n,
        auc=0.95,
        tpr=0.9,
        fpr=0.05,
        j=0.85,
        calibration="midpoint",
        calibration_digest=calibration.digest,
        data_digest=data,
        harmful_change_low=change_low,
        harmful_change_high=100.0,
        untouched=Behaviour(untouched, 5.0, untouched - 5.0, untouched - 20.0, 100.0, 0.0),
        gated=Behaviour(gated, 5.0, gated - 5.0, delta_low, 100.0, 0.0),
    )


class Shelf:
    """Saves under `directory` and registers; one registry may serve many shelves."""

    def __init__(self, registry: Registry, directory: Path, name: str) -> None:
        self.registry = registry
        self.directory = directory
        self.backbone: BackboneIdentity = replace(BACKBONE, name=name)
        self.readout_model = readout_model(name)

    def model_of(self, language: str) -> str:
        return calibration_model(self.backbone.name, language)

    def readout(self, seed: int = 0) -> Readout:
        """Register a readout; its version is the next one."""
        readout = a_readout(seed, backbone=self.backbone)
        saved = save_readout(readout, self.directory / "readout")
        self.registry.register_readout(self.directory / "readout")
        return saved

    def calibration(
        self, readout: Readout, language: str = "sw", **fields: object
    ) -> RegisteredVersion:
        """Register a calibration; `fields` replace its own."""
        calibration = replace(
            a_calibration(language, readout_digest=readout.digest),
            backbone=self.backbone,
            **fields,  # type: ignore[arg-type]
        )
        save_calibration(calibration, self.directory / language)
        return self.registry.register_calibration(self.directory / language)

    def evaluated(
        self,
        readout: Readout,
        language: str = "sw",
        *,
        evaluation: Mapping[str, Any] | None = None,
        **fields: object,
    ) -> RegisteredVersion:
        """Register a calibration with an evaluation of these numbers."""
        made = replace(
            a_calibration(language, readout_digest=readout.digest),
            backbone=self.backbone,
            **fields,  # type: ignore[arg-type]
        )
        saved = save_calibration(made, self.directory / language)
        return self.registry.register_calibration(
            self.directory / language, evaluation=an_evaluation(saved, **(evaluation or {}))
        )

    def promote(self, readout_version: int = 0, **languages: int) -> None:
        """Promote calibrations by language and version, and the readout last, unless 0."""
        for language, version in languages.items():
            self.registry.promote(self.model_of(language), version, force_reason=UNEVALUATED)
        if readout_version:
            self.registry.promote(self.readout_model, readout_version)

    def source(self, cache: Path, *, backbone: BackboneIdentity | None = None) -> MlflowSource:
        """What a server reads."""
        return MlflowSource(
            self.registry.tracking_uri,
            self.backbone.name,
            cache,
            backbone=backbone or self.backbone,
        )
