"""The only tokenisation: a prompt in the chat template, as token ids, padded on the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from services.errors import ArtefactRefused, InvalidRequest

_STAND_IN = "recal-stand-in"


class PaddedBatch(NamedTuple):
    """Prompts of several lengths in one tensor, padded on the left: index -1 is everyone's last."""

    input_ids: Tensor
    """(batch, seq) int64."""
    attention_mask: Tensor
    """(batch, seq) int64; 1 for a token, 0 for a pad."""

    @property
    def position_ids(self) -> Tensor:
        """(batch, seq) int64; every row's first token is at 0, whatever the padding."""
        return (self.attention_mask.cumsum(-1) - 1).clamp(min=0)

    def to(self, device: torch.device) -> PaddedBatch:
        """The same on another device."""
        return PaddedBatch(self.input_ids.to(device), self.attention_mask.to(device))


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids of a prompt in the backbone's chat template, ready to be answered.

    No system message is given (a template may put in its own). What looks like a control token
    inside the prompt is plain text: a prompt can neither end its own turn nor begin another's.

    Raises:
        InvalidRequest: the prompt is not valid Unicode, or holds control tokens that this
            template does not leave in place.
        ArtefactRefused: the tokenizer has no chat template or puts in more than one BOS.
    """
    if not tokenizer.chat_template:
        raise ArtefactRefused(
            f"the tokenizer of `{tokenizer.name_or_path}` has no chat template; "
            "use an instruct model"
        )
    try:
        prompt.encode()
    except UnicodeEncodeError:
        # `from None`: the codec's error carries the whole prompt
        raise InvalidRequest("the prompt holds a lone surrogate; send valid Unicode") from None
    if _control_tokens_in(tokenizer, prompt):
        token_ids = _encode_apart(tokenizer, prompt)
    else:
        token_ids = _tokenise(tokenizer, _render(tokenizer, prompt))
    if (n_bos := token_ids.count(tokenizer.bos_token_id)) > 1:
        raise ArtefactRefused(
            f"the chat template of `{tokenizer.name_or_path}` gives {n_bos} BOS tokens, "
            "at most 1 is right; mend the template"
        )
    return token_ids


def left_pad(token_ids: Sequence[Sequence[int]], pad_id: int) -> PaddedBatch:
    """Pad prompts on the left to the longest.

    Args:
        token_ids: at least one prompt, each with at least one token.
        pad_id: what stands in pads; masked out, so any id of the vocabulary will do.

    Raises:
        ValueError: there are no prompts, or one has no tokens.
    """
    lengths = [len(row) for row in token_ids]
    if not lengths or min(lengths) == 0:
        raise ValueError(
            f"cannot pad {len(lengths)} prompts of {lengths} tokens; none may be empty"
        )
    longest = max(lengths)
    rows = [[pad_id] * (longest - len(row)) + list(row) for row in token_ids]
    mask = [[0] * (longest - n) + [1] * n for n in lengths]
    return PaddedBatch(torch.tensor(rows), torch.tensor(mask))


def _render(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    conversation = [{"role": "user", "content": prompt}]
    rendered = tokenizer.apply_chat_template(
        conversation, tokenize=False, add_generation_prompt=True
    )
    return str(rendered)


def _tokenise(
    tokenizer: PreTrainedTokenizerBase, text: str, *, control_tokens: bool = True
) -> list[int]:
    encoded = tokenizer(
        text, add_special_tokens=False, split_special_tokens=not control_tokens, verbose=False
    )
    return list(encoded["input_ids"])


def _control_tokens_in(tokenizer: PreTrainedTokenizerBase, prompt: str) -> bool:
    added = tokenizer.added_tokens_decoder.values()
    return any(token.special and token.content in prompt for token in added)


def _encode_apart(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Tokenise the prompt away from the template around it, so that it stays text."""
    before, _, after = _render(tokenizer, _STAND_IN).partition(_STAND_IN)
    for content in (prompt, prompt.strip()):
        if _render(tokenizer, prompt) == before + content + after:
            return [
                *_tokenise(tokenizer, before),
                *_tokenise(tokenizer, content, control_tokens=False),
                *_tokenise(tokenizer, after),
            ]
    raise InvalidRequest(
        "the prompt holds control tokens of this model's chat template; leave them out"
    )
