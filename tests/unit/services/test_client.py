"""The public client against a real server: retries, deadlines, order of frames, errors."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from services.client import Backoff, RecalClient
from services.domain import CandidateRole, Sampling, TextChunk
from services.errors import (
    DeadlinePassed,
    InvalidRequest,
    NotReady,
    Overloaded,
    PromptTooLong,
    ServiceError,
    ServiceUnavailable,
)
from tests.unit.front_door import ANSWER, INFO, USAGE, VERDICT, FakeFrontDoor, serving

PUBLIC_VERDICT = VERDICT.__class__(
    VERDICT.action, VERDICT.reason, "sw", VERDICT.readout_version, VERDICT.calibration_version
)
BRISK = Backoff(initial_s=0.01, max_s=0.02)
AWAY = NotReady("the model is not loaded yet; retry")


@asynccontextmanager
async def client_of(door: FakeFrontDoor, **settings: Any) -> AsyncIterator[RecalClient]:
    settings = {"backoff": BRISK, "timeout_s": 10.0, **settings}
    async with serving(door) as target, RecalClient(target, **settings) as client:
        yield client


async def collect(client: RecalClient, received: list[Any]) -> None:
    async for frame in client.generate("habari"):
        received.append(frame)


async def frames_of(client: RecalClient, **arguments: Any) -> list[Any]:
    return [frame async for frame in client.generate("habari", **arguments)]


async def test_an_answer_is_a_verdict_then_text_then_usage() -> None:
    async with client_of(FakeFrontDoor()) as client:
        assert await frames_of(client) == [PUBLIC_VERDICT, "Samahani, ", "siwezi.", USAGE]


async def test_every_argument_reaches_the_server() -> None:
    door = FakeFrontDoor()
    async with client_of(door) as client:
        sampling = Sampling(max_tokens=5, temperature=0.5, seed=3, stop=("x",))
        await frames_of(
            client, language_hint="sw", sampling=sampling, model="organism", routing_key="7"
        )
        await client.check("habari", routing_key="8")
    (request, checked) = door.requests
    assert (request.prompt, request.language_hint, request.model) == ("habari", "sw", "organism")
    assert (request.routing_key, checked.routing_key) == ("7", "8")
    assert (request.sampling.max_tokens, request.sampling.seed) == (5, 3)
    assert list(request.sampling.stop) == ["x"]


async def test_without_sampling_the_servers_defaults_stay() -> None:
    door = FakeFrontDoor()
    async with client_of(door) as client:
        await frames_of(client)
    assert not door.requests[0].HasField("sampling")


async def test_debug_is_asked_for_only_on_request() -> None:
    door = FakeFrontDoor()
    async with client_of(door) as client:
        assert (await client.check("habari")).score is None
        assert await client.check("habari", debug=True) == VERDICT
    assert door.debug == [False, True]


async def test_generate_answers_after_two_unavailable_attempts() -> None:
    door = FakeFrontDoor(failures=[AWAY, AWAY])
    async with client_of(door) as client:
        assert len(await frames_of(client)) == len(ANSWER)
    assert len(door.requests) == 3


async def test_check_answers_after_two_unavailable_attempts() -> None:
    door = FakeFrontDoor(failures=[AWAY, AWAY])
    async with client_of(door) as client:
        assert await client.check("habari") == PUBLIC_VERDICT
    assert len(door.requests) == 3


async def test_the_error_is_raised_when_retries_are_used_up() -> None:
    door = FakeFrontDoor(failures=[AWAY] * 3)
    async with client_of(door) as client:
        with pytest.raises(NotReady, match="not loaded yet"):
            await client.check("habari")
    assert len(door.requests) == 3


async def test_zero_retries_means_one_attempt() -> None:
    door = FakeFrontDoor(failures=[AWAY])
    async with client_of(door, retries=0) as client:
        with pytest.raises(NotReady):
            await frames_of(client)
    assert len(door.requests) == 1


@pytest.mark.parametrize("error", [InvalidRequest("`x`"), PromptTooLong("`y`"), Overloaded("`z`")])
async def test_only_unavailable_is_retried(error: ServiceError) -> None:
    door = FakeFrontDoor(failures=[error])
    async with client_of(door) as client:
        with pytest.raises(type(error), match=str(error)):
            await frames_of(client)
    assert len(door.requests) == 1


async def test_nothing_is_retried_after_the_first_frame() -> None:
    door = FakeFrontDoor(frames=ANSWER[:1], then=AWAY)
    received: list[Any] = []
    async with client_of(door) as client:
        with pytest.raises(NotReady):
            await collect(client, received)
    assert received == [PUBLIC_VERDICT]
    assert len(door.requests) == 1


async def test_the_deadline_covers_all_attempts() -> None:
    door = FakeFrontDoor(failures=[AWAY] * 100)
    slow = Backoff(initial_s=0.2, factor=1.0, max_s=0.2)
    began = time.monotonic()
    async with client_of(door, retries=100, backoff=slow, timeout_s=0.7) as client:
        with pytest.raises(NotReady):
            await client.check("habari")
    assert time.monotonic() - began < 1.5
    assert 2 <= len(door.requests) <= 8
    assert door.time_left_s == sorted(door.time_left_s, reverse=True)


async def test_a_server_that_hangs_ends_at_the_deadline() -> None:
    async with client_of(FakeFrontDoor(hangs_after=0)) as client:
        with pytest.raises(DeadlinePassed, match="deadline"):
            await frames_of(client, timeout_s=0.3)


async def test_a_server_that_hangs_after_a_frame_ends_at_the_deadline() -> None:
    received: list[Any] = []
    async with client_of(FakeFrontDoor(hangs_after=2), timeout_s=0.3) as client:
        with pytest.raises(DeadlinePassed):
            await collect(client, received)
    assert received == [PUBLIC_VERDICT, "Samahani, "]


async def test_every_call_has_a_deadline_without_asking() -> None:
    door = FakeFrontDoor()
    async with client_of(door, timeout_s=9.0) as client:
        await frames_of(client)
        await client.check("habari")
        await client.list_calibrations()
    assert all(8.0 < left < 9.1 for left in door.time_left_s)


async def test_closing_the_iterator_cancels_the_call_on_the_server() -> None:
    door = FakeFrontDoor(hangs_after=1)
    async with client_of(door) as client:
        async with aclosing(client.generate("habari")) as frames:
            await anext(frames)
        for _ in range(100):
            if door.n_cancelled:
                break
            await asyncio.sleep(0.01)
    assert door.n_cancelled == 1


async def test_no_server_is_said_in_words_with_the_way_out() -> None:
    async with RecalClient("127.0.0.1:1", backoff=BRISK) as client:
        with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1.*recal serve"):
            await client.get_info()


async def test_a_server_that_comes_up_within_the_retries_is_found() -> None:
    async with serving(FakeFrontDoor()) as target:
        pass
    port = int(target.rpartition(":")[2])
    steady = Backoff(initial_s=0.25, factor=1.0, max_s=0.25)
    async with RecalClient(target, retries=3, backoff=steady) as client:
        call = asyncio.create_task(client.get_info())
        await asyncio.sleep(0.05)
        async with serving(FakeFrontDoor(), port=port):
            assert (await call).model == "organism"


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (ANSWER[1:], "out of order"),
        (ANSWER[:-1], "broke off"),
        ((), "broke off"),
        ((VERDICT, *ANSWER), "out of order"),
        ((*ANSWER, TextChunk("more", 1)), "out of order"),
    ],
)
async def test_an_answer_out_of_order_is_an_error(frames: Any, words: str) -> None:
    async with client_of(FakeFrontDoor(frames=frames)) as client:
        with pytest.raises(ServiceError, match=words):
            await frames_of(client)


async def test_info_and_calibrations_arrive_as_domain_objects() -> None:
    async with client_of(FakeFrontDoor()) as client:
        info, (calibration,) = await client.get_info(), await client.list_calibrations()
    assert (info.model, info.languages, info.notice) == ("organism", ("en", "sw"), INFO.notice)
    assert (calibration.version, calibration.k) == ("sw@7", 4)


async def test_what_is_tried_beside_the_champions_arrives_with_its_role_and_share() -> None:
    async with client_of(FakeFrontDoor()) as client:
        (tried,) = await client.list_candidates()
    assert (tried.calibration.version, tried.role, tried.share) == (
        "sw@8",
        CandidateRole.CHALLENGER,
        0.25,
    )


async def test_a_candidate_of_a_newer_contract_is_an_error_that_says_so() -> None:
    async with client_of(FakeFrontDoor(candidate_role=99)) as client:
        with pytest.raises(ServiceError, match=r"candidates\.role.*bring both sides"):
            await client.list_candidates()
        assert len(await client.list_calibrations()) == 1


async def test_a_lone_surrogate_is_refused_without_showing_the_prompt() -> None:
    async with client_of(FakeFrontDoor()) as client:
        with pytest.raises(InvalidRequest, match="surrogate") as raised:
            await client.check("secret\udcff")
    assert "secret" not in str(raised.value)


async def test_a_number_beyond_the_wire_is_an_invalid_request() -> None:
    async with client_of(FakeFrontDoor()) as client:
        with pytest.raises(InvalidRequest, match="5000000000"):
            await frames_of(client, sampling=Sampling(max_tokens=5_000_000_000))


@pytest.mark.parametrize(
    "settings",
    [{"timeout_s": 0.0}, {"timeout_s": float("nan")}, {"retries": -1}, {"target": "http://x:1"}],
)
async def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give"):
        RecalClient(**{"target": "127.0.0.1:1", **settings})


def test_backoff_grows_to_its_limit_and_is_jittered() -> None:
    backoff = Backoff(initial_s=0.1, factor=2.0, max_s=0.5)
    delays = [backoff.delay_s(retry, random.Random(retry)) for retry in range(6)]
    for retry, delay in enumerate(delays):
        full = min(0.5, 0.1 * 2**retry)
        assert full / 2 <= delay <= full
    assert backoff.delay_s(0, random.Random(1)) != backoff.delay_s(0, random.Random(2))


def test_a_backoff_that_shrinks_is_refused() -> None:
    with pytest.raises(ValueError, match="factor"):
        Backoff(factor=0.5)
