"""Small readouts and calibrations (d_model 8) for tests that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from services.readout.artefact import save_calibration, save_readout
from services.readout.bundle import (
    BackboneIdentity,
    Bundle,
    Calibration,
    Readout,
    Steering,
    Thresholds,
)
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.own import OwnPart, OwnReadout
from services.readout.place import Place
from services.readout.references import ScoreHistogram

D_MODEL = 8
BACKBONE = BackboneIdentity(
    name="test/Tiny-8d",
    architecture="Qwen2ForCausalLM",
    d_model=D_MODEL,
    n_layers=4,
    weights_digest="a" * 64,
    tokenizer_digest="b" * 64,
    chat_template_digest="c" * 64,
)


def a_readout(
    seed: int = 0,
    *,
    version: str = "",
    digest: str = "",
    backbone: BackboneIdentity = BACKBONE,
) -> Readout:
    """A readout; another seed gives another content and so another digest once saved."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(D_MODEL, 2, generator=generator))
    direction = basis[:, 0] / basis[:, 0].norm()
    first = LinearReadout(torch.randn(D_MODEL, generator=generator), 0.25)
    second = LinearReadout(torch.randn(D_MODEL, generator=generator), -0.5)
    return Readout(
        parts=(
            ReadoutPart(Place(2, "last"), first, basis, share=0.6),
            ReadoutPart(Place(1, "mean"), second, basis[:, :1].contiguous(), share=0.6),
        ),
        source_languages=("en", "de"),
        steering=Steering(direction, layer=2, coefficient=3.5, typical_norm=7.0),
        backbone=backbone,
        source_threshold=0.1,
        source_statistics={"mean_harmful": 1.0, "mean_harmless": -1.0, "gap": 2.0},
        created="2026-01-02T03:04:05+00:00",
        histogram=ScoreHistogram((-1.0, 0.0, 1.0), (1, 4), (5, 2)),
        provenance={"seed": str(seed)},
        digest=digest,
        version=version,
    )


def a_calibration(
    language: str = "sw",
    *,
    readout_digest: str = "d" * 64,
    steer: float = 0.4,
    k: int = 4,
    estimator: str = "midpoint",
    version: str = "",
    digest: str = "",
) -> Calibration:
    """A three-zone calibration of one language."""
    return Calibration(
        language=language,
        thresholds=Thresholds(steer=steer, release=steer - 1.0),
        threshold=steer,
        posterior_sd=0.3,
        routing="three_zone",
        estimator=estimator,
        k=k,
        readout_digest=readout_digest,
        backbone=BACKBONE,
        created="2026-01-02T03:04:05+00:00",
        example_hashes=("e" * 64, "f" * 64),
        metrics={"auc": 0.95, "tpr": 0.9},
        histogram=ScoreHistogram((-1.0, 0.0, 1.0), (1, 4), (5, 2)),
        reference_refusal={"harmful": 0.9, "harmless": 0.1},
        provenance={"tool": "test"},
        digest=digest,
        version=version,
    )


def an_own_readout(seed: int = 0, *, places: Sequence[Place] = (Place(1, "mean"),)) -> OwnReadout:
    """Own weights at some of the places that `a_readout` reads."""
    generator = torch.Generator().manual_seed(100 + seed)
    parts = (
        OwnPart(place, LinearReadout(torch.randn(D_MODEL, generator=generator), 0.75))
        for place in places
    )
    statistics = {"mean_harmful": 1.5, "mean_harmless": -1.5, "sd_within": 1.0, "threshold": 0.2}
    return OwnReadout(tuple(parts), "translate_train", statistics)


def a_bundle(languages: Sequence[str] = ("sw",), *, number: int = 1, seed: int = 0) -> Bundle:
    """A bundle that was never on disk; `number` is the version of all its calibrations."""
    digest = f"{seed:064x}"
    calibrations = {
        language: a_calibration(
            language,
            readout_digest=digest,
            steer=float(number),
            version=f"{language}@{number}",
            digest=f"{language}{number}",
        )
        for language in languages
    }
    readout = a_readout(seed, version=f"readout@{seed}", digest=digest)
    return Bundle(readout, calibrations)


def saved_readout(directory: Path, seed: int = 0) -> Readout:
    """A readout saved at `directory`."""
    return save_readout(a_readout(seed), directory)


def saved_calibration(
    directory: Path, readout: Readout, language: str, **fields: object
) -> Calibration:
    """A calibration of a saved readout, saved at `directory`; `fields` replace its own."""
    calibration = a_calibration(language, readout_digest=readout.digest)
    return save_calibration(replace(calibration, **fields), directory)  # type: ignore[arg-type]
