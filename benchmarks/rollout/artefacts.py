"""Four versions of one language over two readouts; what each answers tells which it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.serving.artefacts import calibration_of, layer_of, random_readout
from recal.registry import Registry
from services.backbone.load import Backbone
from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import Readout, Thresholds
from services.readout.naming import READOUT, calibration_model, readout_model

LANGUAGE = "en"
_NOT_REACHED = 1e6
_PUSH = 40.0
"""Of the steering, in the residual's own units: enough to change a greedy text of the organism."""


@dataclass(frozen=True)
class Version:
    """A promoted calibration, with the readout that it belongs to."""

    calibration: int
    readout: int

    @property
    def name(self) -> str:
        """As an answer says it."""
        return f"{LANGUAGE}@{self.calibration}"

    @property
    def readout_name(self) -> str:
        """As an answer says it."""
        return f"{READOUT}@{self.readout}"


@dataclass(frozen=True)
class Registered:
    """What may be promoted, and under which names."""

    versions: Sequence[Version]
    model: str
    readout_model: str


def register(registry: Registry, backbone: Backbone, directory: Path) -> Registered:
    """Make, save and register two readouts with two calibrations each: one of them steers all."""
    versions: list[Version] = []
    for number in (1, 2):
        readout = save_readout(_readout(backbone, number), directory / f"readout{number}")
        registry.register_readout(directory / f"readout{number}")
        for steer in (_NOT_REACHED, -_NOT_REACHED):
            calibration = len(versions) + 1
            place = directory / f"calibration{calibration}"
            thresholds = Thresholds(steer + calibration, None)
            made = calibration_of(readout, LANGUAGE, thresholds=thresholds)
            save_calibration(replace(made, routing="three_zone"), place)
            registry.register_calibration(place)
            versions.append(Version(calibration, number))
    name = backbone.identity.name
    return Registered(versions, calibration_model(name, LANGUAGE), readout_model(name))


def _readout(backbone: Backbone, number: int) -> Readout:
    made = random_readout(backbone, seed=number, layer=layer_of(backbone))
    steering = replace(made.steering, coefficient=_PUSH)
    return replace(made, steering=steering, digest="", version="")
