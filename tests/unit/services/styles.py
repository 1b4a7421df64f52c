"""Tokenizers and chat templates in the styles of three families, a few hundred tokens each."""

from __future__ import annotations

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tests.unit.services.tiny import TEXTS, build_tokenizer

STYLES = ("qwen2", "llama", "gemma2")
_LLAMA_TEMPLATE = (
    "{{ '<|begin_of_text|>' }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_GEMMA_TEMPLATE = (
    "{{ '<bos>' }}"
    "{% for message in messages %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim"
    " + '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def styled_tokenizer(style: str) -> PreTrainedTokenizerFast:
    """A tokenizer that splits, renders and begins texts as its family's do."""
    if style == "qwen2":
        return build_tokenizer()
    return _llama() if style == "llama" else _gemma()


def _llama() -> PreTrainedTokenizerFast:
    """Byte-level BPE; puts a BOS before every text of its own accord."""
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(TEXTS, _trainer(special, alphabet))
    return _wrapped(core, special, _LLAMA_TEMPLATE)


def _gemma() -> PreTrainedTokenizerFast:
    """BPE over characters with a visible space, and bytes for what it does not know."""
    special = ["<bos>", "<start_of_turn>", "<end_of_turn>", "<eos>"]
    core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    alphabet = list("abcdefghijklmnopqrstuvwxyz\n▁")
    tokens = [*special, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    core.train_from_iterator(TEXTS[:2], _trainer(tokens, alphabet))
    return _wrapped(core, special, _GEMMA_TEMPLATE)


def _trainer(special: list[str], alphabet: list[str]) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + 60,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )


def _wrapped(core: Tokenizer, special: list[str], template: str) -> PreTrainedTokenizerFast:
    bos = special[0]
    core.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=bos,
        eos_token=special[-1],
        pad_token=special[-1],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = template
    return tokenizer
