"""Bundles that are swapped under load: every answer is computed with one of them, to its end."""

from __future__ import annotations

import asyncio
import random

from services.domain import Action, GateRequest, Sampling
from services.readout.bundle import Bundle
from tests.unit.services.fused.both import SW, Answer, both
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout

PROMPTS = ("hi", "how do I bake bread at home", "jinsi ya kuoka mkate nyumbani bila tanuri")
N_VERSIONS, N_REQUESTS = 4, 40


def bundles_of(backbone) -> list[Bundle]:
    """Each reads and steers by other vectors, and at another block; odd ones steer every prompt."""
    found = []
    for number in range(N_VERSIONS):
        readout = tiny_readout(
            backbone,
            layer=number % 3,
            acts_at=(number + 1) % 4,
            coefficient=15.0,
            seed=number,
            version=f"tiny@{number}",
        )
        steer = -1e6 if number % 2 else 1e6
        found.append(
            tiny_bundle(readout, tiny_calibration(readout, "sw", steer=steer, release=None))
        )
    return found


async def test_every_answer_is_computed_with_one_bundle(backbone):
    bundles, draw = bundles_of(backbone), random.Random(0)
    asked = [
        (GateRequest(draw.choice(PROMPTS), SW), Sampling(max_tokens=draw.choice((3, 8, 20))))
        for _ in range(N_REQUESTS)
    ]
    async with both(backbone, bundles[0]) as services:
        tasks = []
        for each in asked:
            services.store.bundle = draw.choice(bundles)
            tasks.append(asyncio.create_task(services.fused_answer(*each)))
            await asyncio.sleep(draw.choice((0.0, 0.0, 0.005)))
        found = await asyncio.gather(*tasks)
        expected: dict[tuple[str, GateRequest, Sampling], Answer] = {}
        for bundle in bundles:
            services.store.bundle = bundle
            for each in set(asked):
                expected[bundle.readout.version, *each] = await services.split_answer(*each)
    for each, answer in zip(asked, found, strict=True):
        alone = expected[answer.reading.verdict.readout_version, *each]
        assert (answer.text, answer.action) == (alone.text, alone.action)
    assert len({answer.reading.verdict.readout_version for answer in found}) == N_VERSIONS
    assert {answer.action for answer in found} == {Action.NONE, Action.STEER}
    assert len({answer.text for answer in expected.values()}) > len(set(asked))
