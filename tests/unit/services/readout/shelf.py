"""Artefacts of one backbone of its own, saved and registered: what a registry test begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recal.registry import RegisteredVersion, Registry
from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import BackboneIdentity, Readout
from services.readout.mlflow_source import MlflowSource
from services.readout.naming import calibration_model, readout_model
from tests.unit.services.readout.factories import BACKBONE, a_calibration, a_readout


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

    def promote(self, readout_version: int = 0, **languages: int) -> None:
        """Promote calibrations by language and version, and the readout last, unless 0."""
        for language, version in languages.items():
            self.registry.promote(self.model_of(language), version)
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
