"""How far a treatment moves the distribution of the next token."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from recal.maths.two_class import checked_rows


def mean_kl(untouched: ArrayLike, treated: ArrayLike) -> float:
    """Mean over prompts of KL(untouched ‖ treated), in nats.

    Args:
        untouched: (n, vocabulary) logits.
        treated: (n, vocabulary) logits of the same prompts.

    Raises:
        ValueError: logits are empty or not finite, or the shapes differ.

    Source: arXiv:2406.11717, which keeps directions with at most 0.1 on harmless prompts.
    """
    before, after = checked_rows("untouched", untouched), checked_rows("treated", treated)
    if before.shape != after.shape:
        raise ValueError(f"logits of shapes {before.shape} and {after.shape} cannot be compared")
    log_p, log_q = log_softmax(before, axis=1), log_softmax(after, axis=1)
    return float(np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=1)))
