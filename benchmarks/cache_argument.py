"""The argument in which a model takes its keys and values, for peers that let it keep them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn


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
