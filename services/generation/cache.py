"""Keys and values of a batch, by row: rows of two caches into one, and rows out of one.

Works on `DynamicCache()` made without a config: every layer then keeps all columns, also of models
with sliding windows, whose masks do the windowing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import DynamicCache


class _Layer(NamedTuple):
    keys: Tensor
    """(batch, heads, columns, d_head)."""
    values: Tensor


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


def append_rows(cache: DynamicCache, other: DynamicCache) -> None:
    """Put the rows of `other` below those of `cache`, both padded on the left to the longer one."""
    columns = max(cache.get_seq_length(), other.get_seq_length())
    _assign(
        cache,
        [
            _Layer(_below(a.keys, b.keys, columns), _below(a.values, b.values, columns))
            for a, b in zip(cache.layers, other.layers, strict=True)
        ],
    )


def keep_rows(cache: DynamicCache, rows: Tensor, *, first_column: int) -> None:
    """Keep some rows, and only the columns from `first_column` on.

    Args:
        cache: changed in place.
        rows: (kept,) int64 row indices, on the cache's device.
        first_column: columns before it are pads in every kept row.
    """
    _assign(
        cache,
        [
            _Layer(*(t[:, :, first_column:].index_select(0, rows) for t in (a.keys, a.values)))
            for a in cache.layers
        ],
    )


def rows_of(cache: DynamicCache, rows: Tensor, *, without_last: int) -> DynamicCache:
    """Some rows as a cache of their own, without the last columns; the first cache stays.

    Args:
        cache: is not changed.
        rows: (kept,) int64 row indices, on the cache's device.
        without_last: how many columns to leave out at the end.
    """
    found = DynamicCache()
    for index, layer in enumerate(cache.layers):
        n = layer.keys.shape[2] - without_last
        kept = (t[:, :, :n].index_select(0, rows) for t in (layer.keys, layer.values))
        found.update(*kept, index)
    return found


def widened(tensor: Tensor, columns: int, *, dim: int) -> Tensor:
    """Zeros on the left, up to `columns` along `dim`."""
    missing = columns - tensor.shape[dim]
    if missing == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)


def _below(above: Tensor, below: Tensor, columns: int) -> Tensor:
    return torch.cat([widened(above, columns, dim=2), widened(below, columns, dim=2)])


def _assign(cache: DynamicCache, layers: list[_Layer]) -> None:
    # only when all are made: a cache of which some layers have other rows is worth nothing
    for layer, new in zip(cache.layers, layers, strict=True):
        layer.keys, layer.values = new
