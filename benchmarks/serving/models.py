"""What is served in a benchmark: the shipped organism, and larger models with random weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from transformers.utils import logging as transformers_logging

from recal.organism.model import Shape, build_model
from services.backbone.load import Backbone, load_backbone
from services.settings import ORGANISM

ROOT = Path("var/serving")
CONTEXT = 1024
DTYPES = MappingProxyType({"float32": torch.float32, "bfloat16": torch.bfloat16})


@dataclass(frozen=True)
class ModelPlan:
    """One model, by how it is made."""

    dtype: str
    """Of the weights that serve."""
    shape: Shape | None = None
    """Of random weights; None: the shipped organism."""
    seed: int = 0


MODELS: Mapping[str, ModelPlan] = MappingProxyType(
    {
        "organism": ModelPlan("float32"),
        # bfloat16, for it is faster than float32 with one thread, and serves
        "30M": ModelPlan(
            "bfloat16",
            Shape(d_model=512, n_layers=8, n_heads=8, n_kv_heads=2, d_mlp=1408, context=CONTEXT),
        ),
        "300M": ModelPlan(
            "bfloat16",
            Shape(d_model=1024, n_layers=24, n_heads=16, n_kv_heads=4, d_mlp=3072, context=CONTEXT),
        ),
    }
)
"""28.7 and 301.8 million parameters, Qwen2's architecture, the organism's vocabulary."""


def names_in(options: argparse.Namespace, *, quick: tuple[str, ...]) -> list[str]:
    """The models that were asked for; of a quick run those of `quick` among them.

    Raises:
        SystemExit: there is no such model.
    """
    asked = [name for name in options.models.split(",") if name]
    if unknown := [name for name in asked if name not in MODELS]:
        raise SystemExit(f"no model `{unknown[0]}`; choose of {', '.join(MODELS)}")
    return [name for name in asked if not options.quick or name in quick] or asked


def checkpoint(name: str, root: Path) -> Path:
    """Where a model lies; random weights are made when they are not there, or of another plan."""
    plan = MODELS[name]
    if plan.shape is None:
        return ORGANISM
    folder = root / name
    made, wanted = folder / "plan.json", json.dumps(asdict(plan), indent=1)
    if not made.is_file() or made.read_text(encoding="utf-8") != wanted:
        made.unlink(missing_ok=True)
        tokenizer = load_backbone(str(ORGANISM)).tokenizer
        transformers_logging.disable_progress_bar()
        model = build_model("qwen2", tokenizer, plan.shape, seed=plan.seed)
        model.to(DTYPES[plan.dtype]).save_pretrained(folder)
        tokenizer.model_max_length = plan.shape.context
        tokenizer.save_pretrained(folder)
        made.write_text(wanted, encoding="utf-8")  # last: without it there is no model
    return folder


def load(name: str, options: argparse.Namespace, *, n_blocks: int | None = None) -> Backbone:
    """A model, whole or its first blocks, in the dtype and on the device that were asked for."""
    dtype = DTYPES[options.dtype or MODELS[name].dtype]
    return load_backbone(
        str(checkpoint(name, options.root)), n_blocks=n_blocks, dtype=dtype, device=options.device
    )
