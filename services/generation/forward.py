"""One packed pass of the whole model, which ends with the logits that are asked for."""

from __future__ import annotations

from torch import Tensor

from services.backbone.load import Backbone
from services.errors import ServiceError
from services.generation.attention import PackedAttention, packed_attention


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
