"""A gate over a tiny model that knows two languages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.backbone.load import Backbone
from services.gate.policy import Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle
from services.telemetry import PrometheusMeter
from tests.unit.services.gate.gates import Held
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout


@pytest.fixture
def bundle(qwen2: Backbone) -> Bundle:
    """Swahili and English."""
    readout = tiny_readout(qwen2)
    return tiny_bundle(readout, tiny_calibration(readout, "sw"), tiny_calibration(readout, "en"))


@pytest.fixture
def meter() -> PrometheusMeter:
    """What is counted."""
    return PrometheusMeter()


@pytest.fixture
async def gate(
    qwen2: Backbone, bundle: Bundle, meter: PrometheusMeter
) -> AsyncIterator[GateService]:
    """A gate that is closed at the end."""
    service = GateService(qwen2, Held(bundle), Policy(min_time_left_s=0.001), meter, notice="tiny")
    yield service
    await service.close()
