from __future__ import annotations

import pytest

from services.domain import Action, Intervention, Sampling
from services.errors import Overloaded, VersionMismatch
from services.on_ray.catching_up import CatchingUp
from tests.behind import TEXT, FakeGeneration

EDIT = Intervention(Action.STEER, "readout@4")


async def generated(generation: FakeGeneration) -> tuple[list, int]:
    n_looks = 0

    async def refresh():
        nonlocal n_looks
        n_looks += 1

    stream = CatchingUp(generation, refresh).generate("habari", EDIT, Sampling())
    return [chunk async for chunk in stream], n_looks


async def test_a_readout_that_is_loaded_needs_no_look():
    assert await generated(FakeGeneration()) == (list(TEXT), 0)


async def test_a_readout_that_is_not_loaded_yet_is_looked_for_at_once():
    generation = FakeGeneration(failures=[VersionMismatch("readout@4")])
    assert await generated(generation) == (list(TEXT), 1)
    assert generation.n_closed == 2


async def test_a_readout_that_nobody_knows_is_an_error():
    with pytest.raises(VersionMismatch):
        await generated(FakeGeneration(failures=[VersionMismatch("readout@4")] * 2))


@pytest.mark.parametrize("failure", [Overloaded("full"), VersionMismatch("late")])
async def test_text_that_has_begun_is_never_begun_again(failure):
    generation = FakeGeneration(fails_after=failure)
    with pytest.raises(type(failure)):
        await generated(generation)
    assert len(generation.asked) == 1
