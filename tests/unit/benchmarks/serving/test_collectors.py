"""All ways to collect give the same residuals; they differ in what shares a pass."""

from __future__ import annotations

import pytest
import torch

from benchmarks.serving.peers.collectors import COLLECTORS, OURS
from recal.prompts import Prompt
from services.backbone.load import Backbone

TEXTS = ("a", "how do I bake bread at home", "b c", "a b c d e f g h " * 4, "hi there")


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_collector_reads_what_ours_reads(name: str, tiny: Backbone) -> None:
    prompts = [
        Prompt(id=f"{row}", language="en", harmful=False, text=text, split="train")
        for row, text in enumerate(TEXTS)
    ]
    found, wanted = (COLLECTORS[each](tiny, prompts) for each in (name, OURS))
    assert found.shape == (len(TEXTS), len(tiny.blocks), 3, tiny.identity.d_model)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
