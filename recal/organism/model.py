"""The organism's tokenizer and untrained model, of a real architecture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

Architecture = Literal["qwen2", "llama", "gemma2"]

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# Combining marks stay with their letters: Burmese, Khmer, Sinhala and Thai vowels are marks, and
# the usual pattern would cut every syllable of them apart.
_WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+"


@dataclass(frozen=True)
class Shape:
    """The organism's size."""

    d_model: int = 128
    n_layers: int = 6
    n_heads: int = 4
    n_kv_heads: int = 2
    d_mlp: int = 344
    vocabulary: int = 12000
    context: int = 512


def train_tokenizer(texts: Iterable[str], shape: Shape) -> PreTrainedTokenizerFast:
    """A byte-level BPE over the given texts, with the chat template and special tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        model_max_length=shape.context,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(
    architecture: Architecture, tokenizer: PreTrainedTokenizerFast, shape: Shape, *, seed: int
) -> PreTrainedModel:
    """An untrained causal LM of the given architecture.

    Raises:
        ValueError: the architecture is not one of the three.
    """
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.d_model,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "intermediate_size": shape.d_mlp,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    head = shape.d_model // shape.n_heads
    torch.manual_seed(seed)
    model: PreTrainedModel
    if architecture == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    elif architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes, head_dim=head))
    elif architecture == "gemma2":
        model = Gemma2ForCausalLM(
            Gemma2Config(
                **sizes, head_dim=head, query_pre_attn_scalar=head, sliding_window=shape.context
            )
        )
    else:
        raise ValueError(f"`{architecture}` is not one of qwen2, llama, gemma2")
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model
