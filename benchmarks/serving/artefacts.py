"""A bundle with random weights for any model: it costs what a fitted one costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone
from services.gate.extract import residuals
from services.readout.bundle import Bundle, Calibration, Readout, Steering, Thresholds
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.own import OwnPart, OwnReadout
from services.readout.place import Place

LANGUAGE = "en"
CREATED = "2026-01-01T00:00:00Z"
_THIRDS = (1 / 3, 2 / 3)


def layer_of(backbone: Backbone) -> int:
    """The block that is read and acted at: 15 of 28 in proportion, as in arXiv:2606.01196."""
    return backbone.identity.n_layers * 15 // 28


def thresholds_between(
    backbone: Backbone,
    prompts: Sequence[str],
    *,
    shares: tuple[float, float] = _THIRDS,
    layer: int | None = None,
) -> Thresholds:
    """Thresholds in the middle between two of the random readout's scores of given prompts.

    None lies on a score, where rounding would decide, and two right engines answer differently.

    Args:
        backbone: with the block that is read.
        prompts: by default a third of them is released, and a third steered.
        shares: of the prompts that are released, and that are released or left alone.
        layer: that is read; None: `layer_of`.
    """
    readout = random_readout(backbone, layer=layer)
    encoded = [encode_prompt(backbone.tokenizer, prompt) for prompt in prompts]
    scores = readout.score(residuals(backbone, encoded, places=readout.places))
    low, high = shares
    rising = np.sort(scores.numpy())
    return Thresholds(
        steer=_above(rising, math.ceil(high * len(rising))),
        release=_above(rising, math.floor(low * len(rising))),
    )


def _above(rising: NDArray[np.floating], n: int) -> float:
    """What lies above n of some scores and below the others, half-way."""
    ends = [rising[0] - 1, *rising, rising[-1] + 1]
    return float(ends[n] + ends[n + 1]) / 2


def random_bundle(
    backbone: Backbone, thresholds: Thresholds, *, layer: int | None = None
) -> Bundle:
    """The random readout with one language's thresholds."""
    readout = random_readout(backbone, layer=layer)
    return Bundle(readout, {LANGUAGE: calibration_of(readout, LANGUAGE, thresholds=thresholds)})


def random_readout(backbone: Backbone, *, seed: int = 0, layer: int | None = None) -> Readout:
    """Reads the last token at one block (None: `layer_of`), and acts there as the paper does."""
    weight, vector = _vectors(backbone, 2, seed=seed)
    layer = layer_of(backbone) if layer is None else layer
    part = ReadoutPart(
        Place(layer, "last"), LinearReadout(weight, 0.0), basis=torch.eye(len(weight), 1)
    )
    return Readout(
        parts=(part,),
        source_languages=(LANGUAGE,),
        steering=Steering(vector, layer, coefficient=1.0, typical_norm=1.0),
        backbone=backbone.identity,
        source_threshold=0.0,
        source_statistics={},
        created=CREATED,
        digest="random",
        version="random@1",
    )


def calibration_of(
    readout: Readout,
    language: str,
    *,
    thresholds: Thresholds,
    own: OwnReadout | None = None,
) -> Calibration:
    """One language's calibration."""
    return Calibration(
        language=language,
        thresholds=thresholds,
        threshold=thresholds.steer,
        posterior_sd=0.1,
        routing="three_zone",
        estimator="random",
        k=4,
        readout_digest=readout.digest,
        backbone=readout.backbone,
        created=CREATED,
        own=own,
        version=f"{language}@1",
    )


def with_own_readouts(backbone: Backbone, n_languages: int, *, seed: int = 0) -> Bundle:
    """So many languages, each with a readout of its own."""
    readout = random_readout(backbone)
    weights = _vectors(backbone, n_languages, seed=seed + 1)
    place = readout.places[0]
    calibrations = {}
    for number, weight in enumerate(weights):
        language = LANGUAGE if number == 0 else f"{LANGUAGE}-x-{number}"
        own = OwnReadout((OwnPart(place, LinearReadout(weight, 0.0)),), "translate_train", {})
        calibrations[language] = calibration_of(
            readout, language, thresholds=Thresholds(1.0, -1.0), own=own
        )
    return Bundle(readout, calibrations)


def _vectors(backbone: Backbone, n: int, *, seed: int) -> Tensor:
    """(n, d_model) float32, unit norm."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, backbone.identity.d_model, generator=generator)
    return torch.nn.functional.normalize(drawn, dim=-1)


@dataclass(frozen=True, eq=False)
class Held:
    """A bundle as services find it."""

    current: Bundle
