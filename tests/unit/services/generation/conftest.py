"""A model whose texts end by their limits alone, a gate in front of it, and services over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from services.backbone.load import Backbone
from services.generation.engine import EngineLimits
from services.generation.service import GenerationService
from services.readout.bundle import Readout
from services.telemetry import PrometheusMeter
from tests.unit.services.generation.asking import Held
from tests.unit.services.generation.rows import Gate
from tests.unit.services.tiny import tiny_readout


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


@pytest.fixture
def readouts(qwen2: Backbone) -> tuple[Readout, Readout]:
    """Of two versions, which act at two blocks."""
    return tiny_readout(qwen2), tiny_readout(qwen2, acts_at=1, seed=3, version="tiny@2")


@pytest.fixture
async def service(
    end_free: Backbone, readouts: tuple[Readout, Readout]
) -> AsyncIterator[GenerationService]:
    """With room for two that wait."""
    service = GenerationService(
        end_free, Held(*readouts), PrometheusMeter(), limits=EngineLimits(max_waiting=2)
    )
    yield service
    await service.close()


@pytest.fixture
async def roomy(
    end_free: Backbone, readouts: tuple[Readout, Readout]
) -> AsyncIterator[GenerationService]:
    """With room for many."""
    service = GenerationService(end_free, Held(*readouts), PrometheusMeter())
    yield service
    await service.close()
