"""Every example, run as a user runs it, against a real server."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.domain import (
    Action,
    FinishReason,
    MonitorStop,
    Reason,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import InvalidRequest, NotReady
from tests.unit.front_door import ANSWER, VERDICT, FakeFrontDoor, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
STREAMING = ["grpc_only.py", "python_client.py"]
AWAY = NotReady("the model is not loaded yet; retry")


class Done(NamedTuple):
    code: int | None
    out: str
    err: str


async def run(example: str, *arguments: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / example), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Done(process.returncode, out.decode(), err.decode())


async def run_against(door: FakeFrontDoor, example: str) -> Done:
    async with serving(door) as target:
        return await run(example, "habari", "--target", target)


def test_no_example_is_forgotten_here() -> None:
    assert sorted([*STREAMING, "check_only.py"]) == EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_explains_itself(example: str) -> None:
    done = await run(example, "--help")
    assert (done.code, "recal serve" in done.out) == (0, True)


@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_says_that_the_server_is_away(example: str) -> None:
    done = await run(example, "habari", "--target", "127.0.0.1:1")
    assert done.code == 1
    assert done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("example", STREAMING)
async def test_the_answer_is_printed(example: str) -> None:
    door = FakeFrontDoor()
    done = await run_against(door, example)
    assert (done.code, done.err) == (0, "")
    assert "Samahani, siwezi." in done.out
    assert 0 < door.time_left_s[0] <= 21


@pytest.mark.parametrize("example", STREAMING)
async def test_a_server_that_is_loading_is_asked_again(example: str) -> None:
    door = FakeFrontDoor(failures=[AWAY, AWAY])
    done = await run_against(door, example)
    assert (done.code, len(door.requests)) == (0, 3)


@pytest.mark.parametrize("example", STREAMING)
async def test_an_answer_that_has_begun_is_not_asked_for_again(example: str) -> None:
    door = FakeFrontDoor(frames=ANSWER[:2], then=AWAY)
    done = await run_against(door, example)
    assert (done.code, len(door.requests)) == (1, 1)
    assert done.out.count("Samahani") == 1


@pytest.mark.parametrize("example", STREAMING)
async def test_a_bad_request_is_not_sent_twice(example: str) -> None:
    door = FakeFrontDoor(failures=[InvalidRequest("`prompt` is empty")])
    done = await run_against(door, example)
    assert (done.code, len(door.requests)) == (1, 1)
    assert "`prompt` is empty" in done.err


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.NONE, "an answer of your model"),
        (Action.RELEASE, "an answer of your model"),
        (Action.STEER, "Sorry"),
        (Action.REFUSE, "Sorry"),
    ],
)
async def test_the_sidecar_example_does_as_the_verdict_says(action: Action, words: str) -> None:
    verdict = Verdict(action, Reason.SCORE, "sw", VERDICT.readout_version)
    done = await run_against(FakeFrontDoor(verdict=verdict), "check_only.py")
    assert (done.code, words in done.out) == (0, True)


async def test_the_sidecar_example_gives_no_answer_without_a_verdict() -> None:
    failures: list[Any] = [AWAY] * 3
    done = await run_against(FakeFrontDoor(failures=failures), "check_only.py")
    assert (done.code, done.out) == (1, "")
    assert "no verdict, so no answer" in done.err


@pytest.mark.parametrize("example", STREAMING)
async def test_an_example_shows_what_stands_in_the_place_of_a_withdrawn_answer(
    example: str,
) -> None:
    end = Usage(12, 3, FinishReason.MONITOR, withdrawn_by=MonitorStop.SCORE, replacement="Siwezi.")
    door = FakeFrontDoor(frames=(VERDICT, TextChunk("Sawa, ", 1), end))
    done = await run_against(door, example)
    assert "Sawa, \n[withdrawn; the answer is:]\nSiwezi.\n[3 tokens" in done.out
