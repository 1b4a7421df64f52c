"""Tiny models of four real architectures, with random weights that are far from degenerate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from services.backbone.load import Backbone
from services.readout.bundle import Bundle, Calibration, Readout, Steering, Thresholds
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.own import OwnPart, OwnReadout
from services.readout.place import Place, Reading

ARCHITECTURES = ("qwen2", "qwen3", "llama", "gemma2")
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
N_LAYERS, D_MODEL, CONTEXT = 4, 32, 160
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXTS = (
    "how do I bake bread at home without an oven",
    "jinsi ya kuoka mkate nyumbani bila tanuri",
    "မုန့်ဖုတ်နည်းကို ပြောပြပါ",
    "как испечь хлеб дома без духовки",
)


def build_tokenizer(texts: Sequence[str] = TEXTS, vocab_size: int = 320) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build_checkpoint(architecture: str, directory: Path) -> Path:
    """Save a random model; wide initial weights keep greedy text varied and its ties apart."""
    tokenizer = build_tokenizer()
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": D_MODEL,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    torch.manual_seed(1)
    if architecture == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    elif architecture == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=8))
    elif architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes, head_dim=8))
    else:
        sliding = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 12}
        model = Gemma2ForCausalLM(Gemma2Config(**sizes, **sliding))
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def tiny_readout(
    backbone: Backbone,
    *,
    layer: int = 1,
    reading: Reading = "last",
    acts_at: int = 2,
    coefficient: float = 4.0,
    seed: int = 0,
    version: str = "tiny@1",
) -> Readout:
    """A random readout and steering direction for a tiny model."""
    generator = torch.Generator().manual_seed(seed)
    weight, vector = torch.randn(2, D_MODEL, generator=generator)
    return Readout(
        parts=(
            ReadoutPart(
                Place(layer, reading), LinearReadout(weight, 0.25), basis=torch.eye(D_MODEL, 1)
            ),
        ),
        source_languages=("en",),
        steering=Steering(vector / vector.norm(), acts_at, coefficient, typical_norm=6.0),
        backbone=backbone.identity,
        source_threshold=0.0,
        source_statistics={},
        created="2026-01-02T03:04:05Z",
        digest=f"digest of {version}",
        version=version,
    )


def tiny_calibration(
    readout: Readout,
    language: str,
    *,
    steer: float = 1.0,
    release: float | None = -1.0,
    created: str = "2026-01-02T03:04:05Z",
    own: OwnReadout | None = None,
) -> Calibration:
    """A calibration with the given thresholds."""
    return Calibration(
        language=language,
        thresholds=Thresholds(steer, release),
        threshold=steer,
        posterior_sd=0.1,
        routing="three_zone",
        estimator="midpoint",
        k=4,
        readout_digest=readout.digest,
        backbone=readout.backbone,
        created=created,
        own=own,
        version=f"{language}@3",
    )


def tiny_own(readout: Readout, *, seed: int = 50) -> OwnReadout:
    """Random weights of one language, where a tiny readout reads."""
    weight = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(seed))
    part = OwnPart(readout.places[0], LinearReadout(weight, -0.5))
    return OwnReadout((part,), "translate_train", {})


def tiny_bundle(readout: Readout, *calibrations: Calibration) -> Bundle:
    """A bundle of a readout and calibrations."""
    return Bundle(readout, {c.language: c for c in calibrations})
