"""Mean states over spans, as if each text had been run alone."""

import numpy as np
import pytest
import torch

from recal.baselines.states import Span, span_means
from services.backbone.chat import encode
from services.backbone.hooks import capture
from services.backbone.load import Backbone

TEXTS = ("hi", "how do I bake bread at home without an oven", "a b c")
LAYERS = (0, 2, 3)


def every_token(backbone: Backbone, ids: list[int]) -> np.ndarray:
    """(layers, tokens, d_model) of one text alone."""
    with torch.inference_mode(), capture(backbone.blocks, LAYERS) as found:
        backbone.model.get_decoder()(input_ids=torch.tensor([ids]), use_cache=False)
    return np.stack([found[layer][0].numpy() for layer in LAYERS])


def test_a_span_is_averaged_without_pads_or_what_stands_before_it(backbone: Backbone) -> None:
    ids = [encode(backbone.tokenizer, text) for text in TEXTS]
    spans = [Span(ids[0], 0), Span(ids[1], 7), Span(ids[2], len(ids[2]) - 1)]
    found = span_means(backbone, spans, LAYERS)
    for row, span in zip(found, spans, strict=True):
        expected = every_token(backbone, span.token_ids)[:, span.first :].mean(axis=1)
        np.testing.assert_allclose(row, expected, atol=2e-5)


@pytest.mark.parametrize("first", [3, -1])
def test_an_empty_span_is_refused(qwen2: Backbone, first: int) -> None:
    with pytest.raises(ValueError, match="the span of text 1 holds no token"):
        span_means(qwen2, [Span([5, 6], 0), Span([5, 6, 7], first)], LAYERS)
