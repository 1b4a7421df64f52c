"""A reading of an organism that was never there: normal residuals, shifted by language."""

from __future__ import annotations

import numpy as np

from benchmarks.science.prompt_sets import HIGH, LANGUAGES, LOW
from benchmarks.science.reading import FITTED_ON, Reading
from recal.collect import Activations
from recal.fit import by_language
from recal.maths.readout import fit_readout
from recal.prompts import Prompt, Split

N = {"train": 30, "validation": 25, "calibration": 40, "test": 60}
D_MODEL = 12
LAYERS = (0, 1)
LAYER = 1


def reading(*, seed: int = 0, shift: float = -1.5, gap: float = 3.0) -> Reading:
    """Classes `gap` apart along the first axis; low-resource languages lie `shift` along it."""
    rng = np.random.default_rng(seed)
    activations = {split: _activations(split, LANGUAGES, rng, shift, gap) for split in N}
    scored = tuple(la for la in LANGUAGES if la != "zh")
    sources = tuple(la for la in HIGH if la in scored)
    return Reading(
        name="synthetic",
        layer=LAYER,
        readout=fit_readout(by_language(activations[FITTED_ON], LAYER, sources), rank=4),
        activations=activations,
        english=_activations("calibration", ("en",), rng, shift, gap),
        languages=scored,
        sources=sources,
    )


def _activations(
    split: Split, languages: tuple[str, ...], rng: np.random.Generator, shift: float, gap: float
) -> Activations:
    prompts, rows = [], []
    for language in languages:
        for harmful in (True, False):
            for number in range(N[split]):
                key = f"{split}/{harmful}/{number}"
                prompts.append(Prompt(f"{language}/{key}", language, harmful, key, split, key))
                residual = rng.normal(size=(len(LAYERS), D_MODEL))
                residual[:, 0] += gap * harmful + shift * (language in LOW)
                rows.append(residual)
    return Activations(tuple(prompts), LAYERS, np.array(rows, dtype=np.float32))
