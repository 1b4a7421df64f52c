"""One pass of the whole model that ends with the logits of each row's last token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from services.backbone.load import Backbone
from services.errors import ServiceError
from services.generation.attention import PackedAttention, packed_attention
from services.generation.cache import cache_argument


def last_logits(
    backbone: Backbone,
    input_ids: Tensor,
    mask: Tensor,
    position_ids: Tensor,
    cache: DynamicCache | None,
) -> Tensor:
    """Run tokens through the model, with the hooks that are on it.

    Args:
        backbone: the whole model.
        input_ids: (rows, seq) int64, padded on the left.
        mask: (rows, columns), 1 for a token and 0 for a pad, of the cache's columns too.
        position_ids: (rows, seq) int64.
        cache: takes up the keys and values of these tokens; None: they are not kept.

    Returns:
        (rows, vocabulary), in the model's dtype.
    """
    held: dict[str, Any] = {} if cache is None else {cache_argument(backbone.model): cache}
    output = backbone.model(
        input_ids=input_ids,
        attention_mask=mask,
        position_ids=position_ids,
        use_cache=cache is not None,
        logits_to_keep=_last(input_ids),
        **held,
    )
    logits: Tensor = output.logits[:, -1]
    return logits


def packed_logits(
    backbone: Backbone,
    inputs: Tensor,
    wanted: Tensor,
    attention: PackedAttention,
) -> Tensor:
    """Run a packed pass through the model, with the hooks that are on it.

    Args:
        backbone: the whole model.
        inputs: (2, tokens) int64: each token's id and its position.
        wanted: (n,) int64: the tokens whose logits are asked for.
        attention: of these tokens; keeps their keys and values.

    Returns:
        (n, vocabulary), in the model's dtype.

    Raises:
        ServiceError: the model attends in a way of its own.
    """
    with packed_attention(backbone.model):
        output = backbone.model(
            input_ids=inputs[:1],
            position_ids=inputs[1:],
            use_cache=False,
            logits_to_keep=wanted,
            packed=attention,
        )
    if missing := set(range(len(backbone.blocks))) - attention.blocks:
        raise ServiceError(f"blocks {sorted(missing)} attend in a way of their own")
    logits: Tensor = output.logits[0]
    return logits


def _last(input_ids: Tensor) -> int | Tensor:
    """The last token, as `logits_to_keep` takes it.

    Of several tokens by an index: the slice that `1` means is not contiguous, and torch 2.13 on a
    CPU then copies tied bfloat16 weights of the head for each row, half of a prefill of 16 prompts.
    """
    return 1 if input_ids.shape[1] == 1 else torch.tensor([-1], device=input_ids.device)
