"""Prompts to residuals, through the extractor that serving uses; cached by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from recal.prompts import Prompt
from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.gate.extract import residuals

_CHUNK = 256

Report = Callable[[int, int], None]
"""Called with prompts done and prompts in all."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Residuals of labelled prompts at some decoder blocks."""

    prompts: tuple[Prompt, ...]
    layers: tuple[int, ...]
    """0-based decoder blocks, in the order of the second axis."""
    residuals: npt.NDArray[np.float32]
    """(n_prompts, n_layers, d_model)."""

    def __post_init__(self) -> None:
        if self.residuals.shape[:2] != (len(self.prompts), len(self.layers)):
            raise ValueError(
                f"residuals of shape {self.residuals.shape} do not belong to "
                f"{len(self.prompts)} prompts at {len(self.layers)} layers"
            )

    def at(
        self, layer: int, *, language: str | None = None, harmful: bool | None = None
    ) -> npt.NDArray[np.float64]:
        """Residuals at one layer, of one language and class where given.

        Returns:
            (n, d_model) float64, in the prompts' order.

        Raises:
            ValueError: the layer was not collected, or no prompt matches.
        """
        if layer not in self.layers:
            raise ValueError(f"layer {layer} was not collected; these were: {self.layers}")
        rows = [
            i
            for i, p in enumerate(self.prompts)
            if (language is None or p.language == language)
            and (harmful is None or p.harmful == harmful)
        ]
        if not rows:
            kind = {None: "", True: "harmful ", False: "harmless "}[harmful]
            raise ValueError(f"no {kind}prompts of `{language}` were collected")
        return self.residuals[rows, self.layers.index(layer)].astype(np.float64)


def collect(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    *,
    layers: Sequence[int] | None = None,
    cache: Path | None = None,
    report: Report = lambda done, total: None,
) -> Activations:
    """Residuals of the last prompt token of every prompt.

    Args:
        backbone: the model, with at least the blocks that are asked for.
        prompts: labelled prompts.
        layers: decoder blocks to read; all of them by default.
        cache: folder where results are kept under a digest of everything that decides them.
        report: called after every chunk with prompts done and prompts in all.

    Raises:
        ValueError: there are no prompts, or a residual is not finite (named by the prompt's id).
    """
    if not prompts:
        raise ValueError("no prompts to collect activations from")
    read = tuple(layers) if layers is not None else tuple(range(len(backbone.blocks)))
    path = cache / f"{_key(backbone, prompts, read)}.safetensors" if cache is not None else None
    if path is not None and path.is_file():
        report(len(prompts), len(prompts))
        return Activations(tuple(prompts), read, load_file(path)["residuals"])
    found = _extract(backbone, prompts, read, report)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({"residuals": found}, partial)
        partial.replace(path)
    return Activations(tuple(prompts), read, found)


def _extract(
    backbone: Backbone, prompts: Sequence[Prompt], layers: tuple[int, ...], report: Report
) -> npt.NDArray[np.float32]:
    parts = []
    for start in range(0, len(prompts), _CHUNK):
        chunk = prompts[start : start + _CHUNK]
        token_ids = [encode(backbone.tokenizer, p.text) for p in chunk]
        part = residuals(backbone, token_ids, layers=layers).numpy()
        finite = np.isfinite(part).all(axis=(1, 2))
        if not finite.all():
            bad = chunk[int(np.argmin(finite))]
            raise ValueError(
                f"the residual of prompt `{bad.id}` (`{bad.language}`) is not finite; "
                "load the backbone with another dtype"
            )
        parts.append(part)
        report(min(start + _CHUNK, len(prompts)), len(prompts))
    return np.concatenate(parts)


def _key(backbone: Backbone, prompts: Sequence[Prompt], layers: tuple[int, ...]) -> str:
    identity = backbone.identity
    decides = {
        "weights": identity.weights_digest,
        "tokenizer": identity.tokenizer_digest,
        "chat_template": identity.chat_template_digest,
        "dtype": str(backbone.model.dtype),
        "layers": layers,
        "position": -1,
        "prompts": [p.digest for p in prompts],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
