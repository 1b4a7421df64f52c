"""Keys and values of a padded batch, where a model keeps them itself: rows out of a cache.

Works on `DynamicCache()` made without a config: every layer then keeps all columns, also of models
with sliding windows, whose masks do the windowing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import DynamicCache


def cache_argument(model: nn.Module) -> str:
    """Name of the argument in which a model's forward pass takes its keys and values.

    transformers 5.24 renamed `past_key_values` to `cache`, model by model, and warns at each call
    with the old name; before it, the new name does not exist.
    """
    return _argument_of(type(model).forward)


@functools.cache
def _argument_of(forward: Callable[..., Any]) -> str:
    known = inspect.signature(forward).parameters
    return "cache" if "cache" in known else "past_key_values"


def keep_rows(cache: DynamicCache, rows: Tensor, *, first_column: int) -> None:
    """Keep some rows, and only the columns from `first_column` on.

    Args:
        cache: changed in place.
        rows: (kept,) int64 row indices, on the cache's device.
        first_column: columns before it are pads in every kept row.
    """
    kept = [
        tuple(t[:, :, first_column:].index_select(0, rows) for t in (layer.keys, layer.values))
        for layer in cache.layers
    ]
    # only when all are made: a cache of which some layers have other rows is worth nothing
    for layer, (keys, values) in zip(cache.layers, kept, strict=True):
        layer.keys, layer.values = keys, values
