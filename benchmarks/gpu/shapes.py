"""Models of production shape with random weights, made where they run: nothing is downloaded.

Sizes are those of the published configurations. A small one of the same architecture runs in their
place on a CPU, so that the same scripts are seen to run where there is no accelerator.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GenerationConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
)

from services.backbone.blocks import find_blocks
from services.backbone.load import Backbone, load_backbone
from services.readout.bundle import BackboneIdentity
from services.settings import ORGANISM

CONTEXT = 2048
_SMALL: Mapping[str, int] = MappingProxyType(
    {
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 12_000,
    }
)
"""The organism's vocabulary, whose tokenizer stands in for all."""


@dataclass(frozen=True)
class Shape:
    """One published model."""

    config: type[PretrainedConfig]
    sizes: Mapping[str, Any]
    reads: float
    """Share of the blocks that are read and acted at: ℓ* of arXiv:2606.01196 by the model's own."""


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "qwen2.5-7b": Shape(
            Qwen2Config,
            {
                "hidden_size": 3584,
                "intermediate_size": 18_944,
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
                "vocab_size": 152_064,
                "rms_norm_eps": 1e-6,
            },
            reads=15 / 28,
        ),
        "gemma-2-9b": Shape(
            Gemma2Config,
            {
                "hidden_size": 3584,
                "intermediate_size": 14_336,
                "num_hidden_layers": 42,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
                "head_dim": 256,
                "vocab_size": 256_000,
                "sliding_window": 4096,
                "query_pre_attn_scalar": 256,
            },
            reads=20 / 42,
        ),
        "llama-3.1-8b": Shape(
            LlamaConfig,
            {
                "hidden_size": 4096,
                "intermediate_size": 14_336,
                "num_hidden_layers": 32,
                "num_attention_heads": 32,
                "num_key_value_heads": 8,
                "vocab_size": 128_256,
            },
            reads=10 / 32,
        ),
    }
)


def is_accelerated(options: argparse.Namespace) -> bool:
    """True where the shapes are those of the published models, and bars mean something."""
    return torch.device(options.device).type == "cuda"


def make(name: str, options: argparse.Namespace) -> Backbone:
    """A model with random weights, at its own size on an accelerator and small on a CPU.

    Raises:
        SystemExit: there is no such shape, or no such device here.
    """
    if name not in SHAPES:
        raise SystemExit(f"no shape `{name}`; choose of {', '.join(SHAPES)}")
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"there is no `{device}` here; leave --device out for a small run")
    shape = SHAPES[name]
    tokenizer = load_backbone(str(ORGANISM)).tokenizer
    sizes = {**shape.sizes} if is_accelerated(options) else {**_SMALL}
    config = shape.config(
        **sizes,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=shape.config is Gemma2Config,
    )
    torch.manual_seed(options.seed)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    identity = BackboneIdentity(
        name=name,
        architecture=type(model).__name__,
        d_model=config.hidden_size,
        n_layers=config.num_hidden_layers,
        weights_digest=f"random, seed {options.seed}",
        tokenizer_digest="organism",
        chat_template_digest="organism",
    )
    model = model.eval().requires_grad_(False)
    return Backbone(model, tokenizer, identity, find_blocks(model), CONTEXT, device)


def layer_read(name: str, backbone: Backbone) -> int:
    """The block that is read and acted at."""
    return round(SHAPES[name].reads * backbone.identity.n_layers)


def first_blocks(backbone: Backbone, n_blocks: int) -> Backbone:
    """What a gate of its own loads: here the same weights, whose passes end behind these blocks."""
    return replace(backbone, blocks=backbone.blocks[:n_blocks])


def flops_of_a_token(backbone: Backbone, *, n_blocks: int | None = None) -> float:
    """Multiplications and additions of one token's matrix products, attention's own left out.

    Args:
        backbone: the model.
        n_blocks: of its first blocks and no head; None: of all, and a head on one token in 200.
    """
    blocks = list(backbone.blocks)[:n_blocks]
    n_weights = sum(p.numel() for block in blocks for p in block.parameters() if p.ndim == 2)
    return 2.0 * n_weights
