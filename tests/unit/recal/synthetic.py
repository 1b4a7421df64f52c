"""Synthetic activations: two classes along one axis, shifted by language."""

from collections.abc import Sequence

import numpy as np

from recal.collect import Activations
from recal.prompts import Prompt, Split
from services.readout.bundle import BackboneIdentity
from services.readout.place import READINGS

D_MODEL = 12
IDENTITY = BackboneIdentity(
    name="synthetic",
    architecture="Qwen2ForCausalLM",
    d_model=D_MODEL,
    n_layers=3,
    weights_digest="a" * 64,
    tokenizer_digest="b" * 64,
    chat_template_digest="c" * 64,
)


def activations(
    languages: Sequence[str],
    *,
    n: int = 40,
    shift: float = 0.0,
    good_layer: int = 1,
    seed: int = 0,
    split: Split = "train",
) -> Activations:
    """n prompts a class and language over three layers; only `good_layer` separates well."""
    rng = np.random.default_rng(seed)
    prompts, rows = [], []
    for language in languages:
        tilt = rng.normal(0, 0.2, D_MODEL)
        for harmful in (True, False):
            for i in range(n):
                identity = f"{split}/{seed}/{harmful}/{i}"
                prompts.append(Prompt(identity, language, harmful, f"{language} {identity}", split))
                row = rng.normal(0, 1, (3, D_MODEL))
                for layer in range(3):
                    gap = 6.0 if layer == good_layer else 0.6
                    row[layer, 0] += gap * harmful + shift
                    row[layer] += tilt * harmful
                rows.append(row)
    return Activations(tuple(prompts), (0, 1, 2), np.asarray(rows, dtype=np.float32))


def complementary(languages: Sequence[str], *, n: int = 60, seed: int = 0) -> Activations:
    """Three layers and readings; last of 1 and mean of 2 see the classes, each with own noise.

    The last instruction token sees nothing anywhere.
    """
    rng = np.random.default_rng(seed)
    prompts, rows = [], []
    for language in languages:
        for harmful in (True, False):
            for i in range(n):
                identity = f"train/{seed}/{harmful}/{i}"
                text = f"{language} {identity}"
                prompts.append(Prompt(identity, language, harmful, text, "train"))
                row = rng.normal(0, 1, (3, 3, D_MODEL))
                row[1, READINGS.index("last"), 0] += 2.0 * harmful
                row[2, READINGS.index("mean"), 0] += 2.0 * harmful
                rows.append(row)
    residuals = np.asarray(rows, dtype=np.float32)
    return Activations(tuple(prompts), (0, 1, 2), residuals, READINGS)
