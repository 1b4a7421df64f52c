"""Pure torch: logits to one token for each row, by its own temperature, mass and draw."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NO_TOKEN = -1
"""Stands where a row's logits are not finite."""


def choose(
    logits: Tensor,
    *,
    temperature: Sequence[float],
    top_p: Sequence[float],
    draws: Sequence[float],
) -> Tensor:
    """The next token of each row; a row's choice does not depend on the others.

    A token is drawn by inverting the cumulative distribution in the vocabulary's order, so that
    the last bit of a logit, which a batch may change, hardly ever changes the token.

    Args:
        logits: (rows, vocabulary), any float dtype; computed in float32, drawn in float64.
        temperature: one for each row; 0.0 takes the most probable token.
        top_p: nucleus mass in (0, 1], one for each row; ignored at temperature 0.0.
        draws: uniform in [0, 1), one for each row; ignored at temperature 0.0.

    Returns:
        (rows,) int64 token ids on the logits' device, `NO_TOKEN` for a row with a NaN or +inf.
    """
    wide = logits.float()
    tokens = _likeliest(wide)
    sampled = [row for row, t in enumerate(temperature) if t > 0.0]
    if sampled:
        tokens[sampled] = _draw(
            wide[sampled].double(),
            *(
                _column([values[row] for row in sampled], wide)
                for values in (temperature, top_p, draws)
            ),
        )
    return torch.where(wide.amax(dim=-1).isfinite(), tokens, NO_TOKEN)


def _likeliest(logits: Tensor) -> Tensor:
    """The first of the largest of each row."""
    if logits.device.type == "cpu":
        # torch 2.13 takes ten times as long there: for 16 rows of 150,000 tokens 5.1 ms, not 0.4
        return torch.from_numpy(logits.numpy().argmax(axis=-1))
    return logits.argmax(dim=-1)


def _draw(logits: Tensor, temperature: Tensor, top_p: Tensor, draws: Tensor) -> Tensor:
    # relative to the largest, so that no temperature is too small to divide by
    relative = logits - logits.amax(dim=-1, keepdim=True)
    nucleus = _nucleus(torch.softmax(relative / temperature, dim=-1), top_p)
    cumulative = nucleus.cumsum(dim=-1)
    target = draws * cumulative[:, -1:]
    return (cumulative <= target).sum(dim=-1).clamp(max=logits.shape[-1] - 1)


def _nucleus(probabilities: Tensor, top_p: Tensor) -> Tensor:
    """Zero outside of the smallest set of most probable tokens whose mass reaches `top_p`."""
    if bool((top_p >= 1.0).all()):
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    mass_before = ordered.cumsum(dim=-1) - ordered
    kept = torch.zeros_like(probabilities, dtype=torch.bool)
    kept.scatter_(-1, order, mass_before < top_p)
    return torch.where(kept, probabilities, 0.0)


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device).unsqueeze(-1)
