"""A model whose texts end by their limits alone, and a gate in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.backbone.load import Backbone
from tests.unit.services.generation.rows import Gate


@pytest.fixture
def end_free(qwen2: Backbone) -> Iterator[Backbone]:
    """A model whose texts end by their limits alone, so that lengths are known."""
    qwen2.model.generation_config.eos_token_id = []
    yield qwen2
    qwen2.model.generation_config.eos_token_id = qwen2.tokenizer.eos_token_id


@pytest.fixture
def gate(qwen2: Backbone) -> Iterator[Gate]:
    """Opened and taken away at the end."""
    gate = Gate(qwen2)
    yield gate
    gate.is_open.set()
    gate.remove()
