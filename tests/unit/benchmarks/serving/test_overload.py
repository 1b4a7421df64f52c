from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from benchmarks.serving import overload
from benchmarks.serving.overload import BURST, PLACES
from services.domain import Usage
from services.errors import Overloaded, ServiceError


class Full:
    """A front door with so many places; more calls than that are turned away, in a given way."""

    def __init__(self, places: int, why: ServiceError) -> None:
        self._places, self._why = places, why
        self.open = 0

    async def generate(self, prompt: str, **options: Any) -> AsyncGenerator[Any, None]:
        yield "a verdict"
        if self.open >= self._places:
            await asyncio.sleep(0.002)
            raise self._why
        self.open += 1
        try:
            yield "text"
            await asyncio.sleep(0.005)
            yield Usage(1, 1, None, {})  # type: ignore[arg-type]
        finally:
            self.open -= 1


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_WARM_UP_S", 0.0)
    monkeypatch.setattr(overload, "_PAUSE_S", 0.001)


async def test_only_calls_without_a_place_count_as_turned_away() -> None:
    answers = await overload._repeat(Full(2 * PLACES, Overloaded("full")), 2)  # type: ignore[arg-type]
    assert answers.let_in + len(answers.turned_away_s) == 2 * BURST
    assert len(answers.turned_away_s) > 0
    assert min(answers.turned_away_s) >= 0.002
    assert answers.figures["p50_ms"] >= 2.0
    assert answers.held > 0


async def test_a_front_door_that_turns_nobody_away_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="0 calls were turned away and 8 let in"):
        await overload._repeat(Full(100, Overloaded("full")), 1)  # type: ignore[arg-type]


async def test_a_call_that_fails_in_another_way_is_told() -> None:
    class Mixed(Full):
        async def generate(self, prompt: str, **options: Any) -> AsyncGenerator[Any, None]:
            if options["sampling"] is not None and self.open >= 2 * PLACES:
                raise ServiceError("broken")
            async for frame in super().generate(prompt, **options):
                yield frame

    with pytest.raises(RuntimeError, match="failed otherwise: {'ServiceError'"):
        await overload._repeat(Mixed(2 * PLACES, Overloaded("full")), 1)  # type: ignore[arg-type]
