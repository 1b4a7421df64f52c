"""The only tokenisation: a prompt in the chat template, as token ids, padded on the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from services.errors import ArtefactRefused, InvalidRequest

_STAND_IN = "7310954118264"
"""Stands where an instruction would: digits, which no template writes in another case."""


class EncodedPrompt(NamedTuple):
    """A rendered prompt as token ids, and where its instruction ends."""

    token_ids: list[int]
    instruction_end: int
    """Index of the last token of the user's own text, t_inst; spaces behind it do not count. Of a
    blank instruction: the token before it."""


class _Tokens(NamedTuple):
    ids: list[int]
    offsets: list[tuple[int, int]]
    """Characters of the rendered prompt that each token covers."""


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


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> EncodedPrompt:
    """A prompt in the backbone's chat template, ready to be answered.

    No system message is given (a template may put in its own). What looks like a control token
    inside the prompt is plain text: a prompt can neither end its own turn nor begin another's.

    Raises:
        InvalidRequest: the prompt is not valid Unicode, or holds control tokens that this
            template does not leave in place.
        ArtefactRefused: the tokenizer has no chat template, one that gives another number of BOS
            tokens than the model expects, or one around which the prompt cannot be found.
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
    rendered = _render(tokenizer, prompt)
    start, end = _instruction_span(tokenizer, rendered)
    if _control_tokens_in(tokenizer, prompt):
        if rendered[start:end] not in (prompt, prompt.strip()):
            raise InvalidRequest(
                "the prompt holds control tokens of this model's chat template; leave them out"
            )
        tokens = _tokenise_apart(tokenizer, rendered, start, end)
    else:
        tokens = _tokenise(tokenizer, rendered)
    _refuse_wrong_bos(tokenizer, tokens.ids)
    end = start + len(rendered[start:end].rstrip())
    return EncodedPrompt(tokens.ids, _last_token_in(tokens.offsets, start, end))


def encode(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The token ids of `encode_prompt` alone.

    Raises:
        InvalidRequest, ArtefactRefused: as there.
    """
    return encode_prompt(tokenizer, prompt).token_ids


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


def _instruction_span(tokenizer: PreTrainedTokenizerBase, rendered: str) -> tuple[int, int]:
    """Which characters of a rendered prompt are the user's own: what the template surrounds."""
    before, found, after = _render(tokenizer, _STAND_IN).partition(_STAND_IN)
    end = len(rendered) - len(after)
    surrounds = rendered.startswith(before) and rendered.endswith(after)
    if not (found and surrounds and len(before) <= end):
        raise ArtefactRefused(
            f"the chat template of `{tokenizer.name_or_path}` does not put the prompt between the "
            "same texts each time, so that its end cannot be found; mend the template"
        )
    return len(before), end


def _tokenise(
    tokenizer: PreTrainedTokenizerBase, text: str, *, control_tokens: bool = True, shift: int = 0
) -> _Tokens:
    encoded = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=not control_tokens,
        return_offsets_mapping=True,
        verbose=False,
    )
    offsets = [(left + shift, right + shift) for left, right in encoded["offset_mapping"]]
    return _Tokens(list(encoded["input_ids"]), offsets)


def _tokenise_apart(
    tokenizer: PreTrainedTokenizerBase, rendered: str, start: int, end: int
) -> _Tokens:
    """Tokenise the prompt away from the template around it, so that it stays text."""
    before = _tokenise(tokenizer, rendered[:start])
    prompt = _tokenise(tokenizer, rendered[start:end], control_tokens=False, shift=start)
    after = _tokenise(tokenizer, rendered[end:], shift=end)
    return _Tokens(
        before.ids + prompt.ids + after.ids, before.offsets + prompt.offsets + after.offsets
    )


def _control_tokens_in(tokenizer: PreTrainedTokenizerBase, prompt: str) -> bool:
    added = tokenizer.added_tokens_decoder.values()
    return any(token.special and token.content in prompt for token in added)


def _last_token_in(offsets: Sequence[tuple[int, int]], start: int, end: int) -> int:
    inside = [i for i, (left, right) in enumerate(offsets) if left < end and right > start]
    before = [i for i, (_, right) in enumerate(offsets) if right <= start]
    return (inside or before or [0])[-1]


def _refuse_wrong_bos(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> None:
    bos = tokenizer.bos_token_id
    if bos is None:
        return
    n_bos = token_ids.count(bos)
    # a tokenizer that by itself begins a text with BOS belongs to a model that was trained so
    expects_one = list(tokenizer("", verbose=False)["input_ids"])[:1] == [bos]
    if n_bos > 1 or (expects_one and list(token_ids[:1]) != [bos]):
        wanted = "exactly 1, at the beginning," if expects_one else "at most 1"
        raise ArtefactRefused(
            f"the chat template of `{tokenizer.name_or_path}` gives {n_bos} BOS tokens, "
            f"{wanted} is right; mend the template"
        )
