"""Tensors of an artefact: written plainly, and taken only when nothing about them is odd."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from services.errors import ArtefactRefused


def written(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file: float32, in the main memory's order."""
    plain = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
        for name, tensor in tensors.items()
    }
    return bytes(safetensors.torch.save(plain))


def parsed(raw: bytes, label: str, name: str, *, again: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Args:
        raw: the file.
        label: how messages call the artefact.
        name: how they call the file.
        again: the command that makes another one.

    Raises:
        ArtefactRefused: it is none.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(raw)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError):
        raise ArtefactRefused(
            f"`{name}` of {label} is not a safetensors file; run `{again}` again"
        ) from None
    return tensors


def refuse_odd(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], label: str, *, again: str
) -> None:
    """Check that all tensors are there, of the right type and shape and finite, and no other.

    Raises:
        ArtefactRefused: they are not.
    """
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != dict(shapes):
        raise ArtefactRefused(
            f"{label} has tensors of shapes {str(found)[:200]}, not {dict(shapes)}; "
            f"run `{again}` again"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise ArtefactRefused(
                f"`{name}` of {label} must be finite float32, not {tensor.dtype} with "
                f"{int((~torch.isfinite(tensor)).sum())} numbers that are not finite; "
                f"run `{again}` again"
            )
