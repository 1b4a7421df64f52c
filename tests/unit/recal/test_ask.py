"""`recal ask` against a real server: what people see, what scripts get, what errors say."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from rich.console import Console

from recal.address import front_door
from recal.ask import Question, Record, Screen, ask, chosen_sampling
from recal.terminal import printable
from services.client import RecalClient, ServerInfo
from services.domain import (
    Action,
    FinishReason,
    MonitorStop,
    Reason,
    Sampling,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import InvalidRequest, NotReady, UnknownBackbone
from services.settings import EdgeSettings, SettingsError
from tests.unit.front_door import ANSWER, INFO, USAGE, VERDICT, FakeFrontDoor, serving


class Done(NamedTuple):
    code: int | None
    out: str
    err: str


async def recal_ask(*arguments: str, stdin: bytes = b"") -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "recal", "ask", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("RECAL_")},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    return Done(process.returncode, out.decode(), err.decode())


async def shown(door: FakeFrontDoor, question: Question) -> str:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=200))
    async with serving(door) as target, RecalClient(target, retries=0) as client:
        await ask(client, question, screen)
    return out.getvalue()


async def test_people_see_model_verdict_text_and_timings_in_order() -> None:
    lines = (await shown(FakeFrontDoor(), Question("habari"))).splitlines()
    assert lines == [
        f"organism · {INFO.notice}",
        "sw STEER by score · sw@7 · organism@1",
        "Samahani, siwezi.",
        "12 + 3 tokens, end of text · gate 4 ms · total 50 ms",
    ]


async def test_a_check_shows_the_verdict_and_generates_nothing() -> None:
    door = FakeFrontDoor()
    out = await shown(door, Question("habari", check_only=True))
    assert "STEER" in out
    assert "Samahani" not in out
    assert [type(r).__name__ for r in door.requests] == ["RecalCheckRequest"]


async def test_scores_are_shown_where_the_server_gives_them() -> None:
    assert "+1.250 against +0.500" in await shown(FakeFrontDoor(), Question("x", debug=True))


async def test_a_bypass_is_shown() -> None:
    verdict = Verdict(Action.NONE, Reason.LANGUAGE_UNKNOWN, None, "organism@1", bypassed=True)
    out = await shown(FakeFrontDoor(frames=(verdict, *ANSWER[1:])), Question("x"))
    assert "language unknown NONE by language unknown BYPASSED · no calibration" in out


async def test_escape_sequences_in_the_answer_do_not_reach_the_terminal() -> None:
    frames = (VERDICT, TextChunk("\x1b]0;owned\x07\x9b31m[bold]", 1), USAGE)
    out = await shown(FakeFrontDoor(frames=frames), Question("x"))
    assert not {"\x1b", "\x07", "\x9b"} & set(out)
    assert "[bold]" in out


def test_joiners_of_living_scripts_stay_printable() -> None:
    assert printable("ක්\u200dෂ\n\t") == "ක්\u200dෂ\n\t"


def test_an_answer_that_breaks_off_leaves_its_line() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out))
    screen.text("half a")
    screen.end()
    screen.end()
    assert out.getvalue() == "half a\n"


def test_colours_are_written_where_there_is_a_terminal() -> None:
    out = io.StringIO()
    Screen(Console(file=out, force_terminal=True, width=200)).verdict(VERDICT)
    assert "\x1b[1;33mSTEER" in out.getvalue()


def test_sampling_is_left_to_the_server_unless_something_is_chosen() -> None:
    assert chosen_sampling() is None
    assert chosen_sampling(temperature=0.0, stop=["a"]) == Sampling(temperature=0.0, stop=("a",))


def test_a_record_keeps_what_came_before_the_error() -> None:
    record = Record()
    record.info(ServerInfo("m", "d", "r", (), "0", "split", 1, "n"))
    record.text("half")
    record.error(NotReady("away; retry"))
    assert record.content == {
        "model": "m",
        "notice": "n",
        "text": "half",
        "error": {"status": "UNAVAILABLE", "message": "away; retry"},
    }


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "127.0.0.1:5"), ("::1", "[::1]:5"), ("[::1]", "[::1]:5"), ("gate", "gate:5")],
)
def test_the_front_door_is_named_as_a_caller_writes_it(host: str, address: str) -> None:
    assert front_door(EdgeSettings(host=host, port=5)) == address


def test_a_free_port_has_no_address_to_guess() -> None:
    with pytest.raises(SettingsError, match=r"`edge\.port` is 0"):
        front_door(EdgeSettings(port=0))


async def test_the_command_prints_the_answer() -> None:
    door = FakeFrontDoor()
    options = ("--hint", "sw", "--max-tokens", "5", "--seed", "3", "--stop", "a", "--stop", "b")
    async with serving(door) as target:
        done = await recal_ask("habari", "--target", target, *options)
    assert (done.code, done.err) == (0, "")
    assert "Samahani, siwezi.\n" in done.out
    (request,) = door.requests
    sampling = request.sampling
    assert (request.language_hint, sampling.max_tokens, sampling.seed) == ("sw", 5, 3)
    assert list(sampling.stop) == ["a", "b"]


async def test_json_is_one_object_with_everything() -> None:
    async with serving(FakeFrontDoor()) as target:
        done = await recal_ask("habari", "--target", target, "--json")
    content = json.loads(done.out)
    assert content["text"] == "Samahani, siwezi."
    assert content["notice"] == INFO.notice
    assert content["verdict"]["action"] == "steer"
    assert content["verdict"]["calibration_version"] == "sw@7"
    assert content["verdict"]["score"] is None
    assert content["usage"]["finish"] == "end_of_text"


async def test_an_answer_that_is_withdrawn_is_replaced_in_json_and_in_words_on_the_screen() -> None:
    end = replace(
        USAGE, finish=FinishReason.MONITOR, withdrawn_by=MonitorStop.SCORE, replacement="Siwezi."
    )
    frames = (VERDICT, TextChunk("Sawa, ", 1), end)
    async with serving(FakeFrontDoor(frames=frames)) as target:
        shown = await recal_ask("habari", "--target", target)
        kept = json.loads((await recal_ask("habari", "--target", target, "--json")).out)
    assert "Sawa, \nWITHDRAWN: ignore the text above; the answer is\nSiwezi.\n" in shown.out
    assert kept["text"] == "Siwezi."
    assert (kept["usage"]["finish"], kept["usage"]["withdrawn_by"]) == ("monitor", "score")


async def test_json_of_a_check_holds_the_verdict_alone() -> None:
    async with serving(FakeFrontDoor()) as target:
        done = await recal_ask("habari", "--target", target, "--json", "--check")
    assert set(json.loads(done.out)) == {"model", "notice", "verdict"}


async def test_the_prompt_may_come_from_standard_input() -> None:
    door = FakeFrontDoor()
    async with serving(door) as target:
        await recal_ask("-", "--target", target, stdin=b"habari\nza leo?\n")
    assert door.requests[0].prompt == "habari\nza leo?"


async def test_standard_input_that_is_not_utf8_is_refused_in_words() -> None:
    done = await recal_ask("-", stdin=b"secret\xff")
    assert done.code == 2
    assert "byte 6" in done.err
    assert "secret" not in done.err


async def test_without_a_server_it_says_what_to_start() -> None:
    done = await recal_ask("habari", "--target", "127.0.0.1:1")
    assert done.code == 2
    assert "`recal serve`" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "error", [InvalidRequest("`max_tokens` is 0; give 1 to 1024"), UnknownBackbone("no `x` here")]
)
async def test_the_servers_words_are_shown_as_they_are(error: Any) -> None:
    async with serving(FakeFrontDoor(failures=[error])) as target:
        done = await recal_ask("habari", "--target", target)
    assert (done.code, done.err) == (2, f"recal: {error}\n")


async def test_an_error_midway_keeps_the_text_and_ends_with_code_2() -> None:
    door = FakeFrontDoor(frames=ANSWER[:2], then=NotReady("generation is away; retry"))
    async with serving(door) as target:
        done = await recal_ask("habari", "--target", target)
    assert done.code == 2
    assert done.out.endswith("Samahani, \n")
    assert done.err == "recal: generation is away; retry\n"


async def test_an_error_as_json_is_one_object_and_code_2() -> None:
    async with serving(FakeFrontDoor(failures=[InvalidRequest("`x`")])) as target:
        done = await recal_ask("habari", "--target", target, "--json")
    assert (done.code, done.err) == (2, "")
    assert json.loads(done.out)["error"] == {"status": "INVALID_ARGUMENT", "message": "`x`"}


def test_stages_are_shown_in_the_order_in_which_they_happen() -> None:
    out = io.StringIO()
    times = {"total": 3.0, "gate": 1.0, "language_id": 0.5, "new_stage": 9.0}
    screen = Screen(Console(file=out, width=200))
    screen.usage(Usage(1, 1, USAGE.finish, times))
    text = out.getvalue()
    assert sorted(times, key=text.index) == ["language_id", "gate", "total", "new_stage"]
