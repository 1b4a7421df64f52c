"""THE extractor, online and offline: prompts to residuals at (layer, position)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from services.backbone.chat import left_pad
from services.backbone.hooks import capture
from services.backbone.load import Backbone

_MAX_TOKENS = 8192
_SLACK = 16


def residuals(
    backbone: Backbone,
    token_ids: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    position: int = -1,
    max_tokens: int = _MAX_TOKENS,
) -> Tensor:
    """Residuals of prompts, as if each had been run alone.

    Args:
        backbone: the model, with at least the blocks that are read.
        token_ids: prompts as `services.backbone.chat.encode` gives them.
        layers: 0-based decoder blocks whose output is read.
        position: token index relative to the end of the prompt; -1 is the last token.
        max_tokens: padded tokens in one forward pass; a longer prompt runs alone.

    Returns:
        (n, len(layers), d_model) float32 on the CPU, in the prompts' order; non-finite ones as
        they are.

    Raises:
        ValueError: there is no such block, `position` is not negative, or a prompt is too short
            to have a token there.
    """
    lengths = [len(row) for row in token_ids]
    _check(backbone, lengths, layers, position)
    shape = (len(lengths), len(layers), backbone.identity.d_model)
    found = torch.empty(shape, dtype=torch.float32)
    for rows in buckets(lengths, max_tokens=max_tokens):
        found[rows] = _read(backbone, [token_ids[row] for row in rows], layers, position)
    return found


def buckets(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Rows of like length together, so that little of a batch is padding.

    Args:
        lengths: tokens of each row.
        max_tokens: padded tokens of a bucket; a longer row has one of its own.

    Returns:
        Every row's index once; inside a bucket no row is padded to more than about twice its
        length.
    """
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        last = found[-1] if found else []
        fits = last and (len(last) + 1) * lengths[row] <= max_tokens
        if fits and lengths[row] <= 2 * lengths[last[0]] + _SLACK:
            last.append(row)
        else:
            found.append([row])
    return found


@torch.inference_mode()
def _read(
    backbone: Backbone, token_ids: Sequence[Sequence[int]], layers: Sequence[int], position: int
) -> Tensor:
    batch = left_pad(token_ids, backbone.pad_id).to(backbone.device)
    with capture(backbone.blocks, layers, position=position) as found:
        # the decoder alone: the head over every token would cost more than the blocks do
        backbone.model.get_decoder()(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        )
    return torch.stack([found[layer].float() for layer in layers], dim=1).cpu()


def _check(
    backbone: Backbone, lengths: Sequence[int], layers: Sequence[int], position: int
) -> None:
    n_blocks = len(backbone.blocks)
    if not layers or not all(0 <= layer < n_blocks for layer in layers):
        raise ValueError(f"cannot read blocks {list(layers)}; 0..{n_blocks - 1} are loaded")
    if position >= 0:
        raise ValueError(f"`position` is {position}; it counts from the end, -1 is the last token")
    if lengths and min(lengths) < -position:
        raise ValueError(f"a prompt of {min(lengths)} tokens has none at position {position}")
