"""States that baselines are fitted on and serving has no need for: means over spans of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from recal.maths.two_class import FloatArray
from services.backbone.buckets import buckets, tokens_of_a_pass
from services.backbone.chat import left_pad
from services.backbone.hooks import capture
from services.backbone.load import Backbone


class Span(NamedTuple):
    """A rendered text, and which of its tokens are averaged."""

    token_ids: Sequence[int]
    first: int
    """Index of the first token of the span; it goes on to the end."""


@torch.inference_mode()
def span_means(backbone: Backbone, spans: Sequence[Span], layers: Sequence[int]) -> FloatArray:
    """Residuals averaged over the span of each text.

    Args:
        backbone: the model, with at least the blocks that are read.
        spans: texts, each with at least one token in its span.
        layers: 0-based decoder blocks whose output is read.

    Returns:
        (n, len(layers), d_model), in the texts' order.

    Raises:
        ValueError: a span is empty, or there is no such block.
    """
    empty = [i for i, span in enumerate(spans) if not 0 <= span.first < len(span.token_ids)]
    if empty:
        raise ValueError(f"the span of text {empty[0]} holds no token; give a longer suffix")
    found = np.empty((len(spans), len(layers), backbone.identity.d_model))
    lengths = [len(span.token_ids) for span in spans]
    for rows in buckets(lengths, max_tokens=tokens_of_a_pass(backbone.device)):
        found[rows] = _read(backbone, [spans[row] for row in rows], layers)
    return found


def _read(
    backbone: Backbone, spans: Sequence[Span], layers: Sequence[int]
) -> npt.NDArray[np.float32]:
    batch = left_pad([span.token_ids for span in spans], backbone.pad_id).to(backbone.device)
    n_inside = torch.tensor([len(s.token_ids) - s.first for s in spans], device=backbone.device)
    # padded on the left, so that a span is the last tokens of its row
    from_end = torch.arange(batch.input_ids.shape[1], 0, -1, device=backbone.device)
    weights = (from_end <= n_inside[:, None]).float() / n_inside[:, None]
    with capture(backbone.blocks, layers) as read:
        backbone.model.get_decoder()(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        )
    means = [(read[layer].float() * weights.unsqueeze(-1)).sum(dim=1) for layer in layers]
    return np.asarray(torch.stack(means, dim=1).cpu().numpy())
