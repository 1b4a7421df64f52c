"""What the generation service does not do, and in which words it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.domain import Action, Intervention, Sampling
from services.errors import ArtefactRefused, InvalidRequest, PromptTooLong, VersionMismatch
from services.generation.service import GenerationService
from services.readout.bundle import Release
from services.telemetry import PrometheusMeter
from tests.unit.services.generation.asking import LONG, NONE, Held, collect
from tests.unit.services.tiny import tiny_readout


async def test_prompt_and_answer_must_fit_the_context(service):
    with pytest.raises(PromptTooLong, match=r"`max_tokens` is 150; together at most 160") as caught:
        await collect(service.generate("secret bread please", NONE, Sampling(max_tokens=150)))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(max_tokens=0), "`max_tokens` is 0"),
        (Sampling(temperature=-0.1), "`temperature` is -0.1"),
        (Sampling(temperature=float("nan")), "`temperature` is nan"),
        (Sampling(temperature=2.1), "greedy"),
        (Sampling(top_p=0.0), "`top_p` is 0.0"),
        (Sampling(top_p=float("nan")), "`top_p` is nan"),
        (Sampling(seed=-1), "`seed` is -1"),
        (Sampling(seed=2**64), "`seed`"),
        (Sampling(stop=("",)), "empty or long"),
        (Sampling(stop=("x" * 257,)), "empty or long"),
        (Sampling(stop=("x",) * 17), "17 stop strings"),
    ],
)
async def test_sampling_that_makes_no_sense_is_refused(service, sampling, words):
    with pytest.raises(InvalidRequest, match=words):
        await collect(service.generate("hi", NONE, sampling))


@pytest.mark.parametrize(
    ("intervention", "error", "words"),
    [
        (Intervention(Action.REFUSE, "tiny@1"), InvalidRequest, "`refuse` is no intervention"),
        (Intervention(Action.STEER), InvalidRequest, "must name a readout"),
        (Intervention(Action.RELEASE, "tiny@9"), VersionMismatch, "`tiny@9` is not loaded"),
    ],
)
async def test_an_intervention_that_cannot_be_done_generates_nothing(
    service, gate, intervention, error, words
):
    with pytest.raises(error, match=words):
        await collect(service.generate("hi", intervention, LONG))
    assert gate.n_rows == []


async def test_a_readout_that_does_not_fit_generates_nothing(end_free):
    deep = tiny_readout(end_free, acts_at=7)
    service = GenerationService(end_free, Held(deep), PrometheusMeter())
    with pytest.raises(VersionMismatch, match="acts on block 7"):
        await collect(service.generate("hi", Intervention(Action.STEER, "tiny@1"), LONG))
    await service.close()


async def test_a_release_at_a_block_that_is_not_there_generates_nothing(end_free):
    readout = tiny_readout(end_free)
    own = Release(layer=9, direction=readout.steering.direction)
    deep = replace(readout, steering=replace(readout.steering, release=own))
    service = GenerationService(end_free, Held(deep), PrometheusMeter())
    with pytest.raises(VersionMismatch, match="acts on block 9"):
        await collect(service.generate("hi", Intervention(Action.RELEASE, "tiny@1"), LONG))
    await service.close()


async def test_a_direction_that_is_not_unit_norm_generates_nothing(end_free, readouts):
    readouts[0].steering.direction.mul_(2)
    service = GenerationService(end_free, Held(*readouts), PrometheusMeter())
    with pytest.raises(ArtefactRefused, match="norm"):
        await collect(service.generate("hi", Intervention(Action.STEER, "tiny@1"), LONG))
    await service.close()
