"""Answers that are looked at while they are written, as who asked for them sees it."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.backbone.load import Backbone
from services.domain import (
    Action,
    FinishReason,
    Intervention,
    MonitorStop,
    Sampling,
)
from services.errors import ArtefactRefused
from services.generation.monitor import Monitors
from services.generation.service import GenerationService
from services.readout.bundle import Readout
from services.telemetry import PrometheusMeter
from tests.unit.services.generation.asking import LONG, NONE, Held, collect
from tests.unit.services.tiny import tiny_readout


@asynccontextmanager
async def monitored(backbone: Backbone, *readouts: Readout, **thresholds: float):
    """Thresholds by version; the digest is made of it."""
    by_digest = {f"digest of {version}": each for version, each in thresholds.items()}
    service = GenerationService(
        backbone,
        Held(*readouts),
        PrometheusMeter(),
        monitors=Monitors(by_digest, every=4),
    )
    yield service
    await service.close()


def named(backbone: Backbone, version: str, seed: int = 0) -> Readout:
    return tiny_readout(backbone, version=version, seed=seed)


@pytest.mark.parametrize("action", [Action.NONE, Action.RELEASE])
async def test_an_answer_whose_score_is_above_the_threshold_ends_without_its_text(
    end_free, action: Action
):
    async with monitored(end_free, named(end_free, "one"), one=-1e6) as service:
        chunks = await collect(service.generate("hi", Intervention(action, "one"), LONG))
    [last] = chunks
    assert (last.text, last.n_tokens) == ("", 5)  # four were read, and a fifth came with them
    assert (last.finish, last.withdrawn_by) == (FinishReason.MONITOR, MonitorStop.SCORE)


async def test_an_answer_below_the_threshold_is_the_same_in_larger_pieces(end_free):
    unwatched = GenerationService(end_free, Held(), PrometheusMeter())
    expected = await collect(unwatched.generate("hi", NONE, LONG))
    await unwatched.close()
    async with monitored(end_free, named(end_free, "one"), one=1e6) as service:
        chunks = await collect(service.generate("hi", Intervention(Action.NONE, "one"), LONG))
    assert "".join(c.text for c in chunks) == "".join(c.text for c in expected)
    assert 2 < len(chunks) <= 15 < len(expected)
    assert sum(chunk.n_tokens for chunk in chunks) == 60


async def test_an_answer_is_looked_at_by_the_readout_of_its_verdict_or_else_the_current_one(
    end_free,
):
    readouts = named(end_free, "one"), named(end_free, "two", seed=3)
    finishes = []
    async with monitored(end_free, *readouts, one=-1e6, two=1e6) as service:
        for version in ("one", "two", ""):
            asked = Intervention(Action.NONE, version)
            *_, last = await collect(service.generate("hi", asked, Sampling(max_tokens=6)))
            finishes.append(last.finish)
    assert finishes == [FinishReason.MONITOR, FinishReason.MAX_TOKENS, FinishReason.MONITOR]


async def test_no_answer_is_written_that_could_not_be_looked_at(end_free):
    readouts = named(end_free, "one"), named(end_free, "two", seed=3)
    async with monitored(end_free, *readouts, two=1e6) as service:
        with pytest.raises(ArtefactRefused, match="none for readout `one`"):
            await collect(service.generate("hi", Intervention(Action.NONE, "one"), LONG))
        steered = service.generate("hi", Intervention(Action.STEER, "one"), Sampling(max_tokens=3))
        assert (await collect(steered))[-1].finish is FinishReason.MAX_TOKENS


async def test_activations_that_are_not_finite_withdraw_the_answer(end_free):
    broken = named(end_free, "one")
    part = broken.parts[0]
    spoilt = replace(part, linear=replace(part.linear, weight=part.linear.weight * math.inf))
    async with monitored(end_free, replace(broken, parts=(spoilt,)), one=1e6) as service:
        chunks = await collect(service.generate("hi", Intervention(Action.NONE, "one"), LONG))
    assert [chunk.withdrawn_by for chunk in chunks] == [MonitorStop.NON_FINITE]
