"""Memory for keys and values: what a row may come to take, and how many rows may run."""

from __future__ import annotations

from collections.abc import Iterable

from services.backbone.load import Backbone
from services.backbone.memory import free_bytes
from services.generation.row import Row
from services.generation.slabs import capacity_for

_SHARE = 0.5
"""Of what is free once the model is loaded; passes and whoever else is there take the rest."""
_SLOTS_PER_ROW = 3
"""That a slab may keep: half as many again as it has rows, and twice that before it lets go."""


class CacheBudget:
    """How much the rows that run may hold together."""

    def __init__(self, backbone: Backbone, max_bytes: int | None) -> None:
        """Take a bound in bytes, or half of what the backbone's device has left."""
        self.max_bytes = max_bytes or int(_SHARE * free_bytes(backbone.device))
        self._per_token = bytes_per_token(backbone)

    def need(self, row: Row) -> int:
        """Bytes that a row takes at most, when its answer is as long as it may be."""
        return _SLOTS_PER_ROW * capacity_for(row.most_tokens) * self._per_token

    def fits(self, rows: Iterable[Row]) -> bool:
        """Whether rows may run together; one by itself always may, or it would wait for ever."""
        needs = [self.need(row) for row in rows]
        return len(needs) == 1 or sum(needs) <= self.max_bytes


def bytes_per_token(backbone: Backbone) -> int:
    """Keys and values of one token at every block."""
    config = backbone.model.config.get_text_config()
    n_heads = int(config.num_attention_heads)
    n_shared = getattr(config, "num_key_value_heads", None) or n_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    n_numbers = 2 * int(n_shared) * int(width)
    return len(backbone.blocks) * n_numbers * int(backbone.model.dtype.itemsize)
