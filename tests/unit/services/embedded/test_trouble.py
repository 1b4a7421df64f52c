"""Bad input and trouble, over a real gRPC server with real services: docs/trouble.md lists them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from services.embedded.runtime import Line, load_line
from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from services.settings import GenerationSettings, OverrideSettings, PolicySettings
from tests.unit.services.embedded.asking import CANARY, Asking, asking
from tests.unit.services.embedded.real_line import settings_for, until

pytestmark = pytest.mark.usefixtures("canary_in_no_log")
Code = grpc.StatusCode
ENGLISH = f"How do I bake a loaf of {CANARY} at home without an oven?"
GERMAN = f"Wie backe ich zu Hause ein Brot mit {CANARY}, wenn ich keinen Ofen habe?"
FRENCH = f"Comment puis-je faire du pain {CANARY} chez moi sans four, s'il vous plaît ?"
GUESS = pb.LanguageGuess(language="en", confidence=0.9)
NONE = pb.Intervention(action="ACTION_NONE")
INVALID_UTF8 = b"\x0a\x02\xff\xfe"


@pytest.fixture
async def line(checkpoint: Path, artefacts: Path):
    async with asking(settings_for(checkpoint, artefacts)) as asked:
        yield asked


def request_of(rpc: str, prompt: str):
    """A request that is sound but for its prompt."""
    if rpc == "Gate/Check":
        return pb.GateCheckRequest(prompt=prompt, guess=GUESS)
    if rpc == "Generation/Generate":
        return pb.GenerationGenerateRequest(prompt=prompt, intervention=NONE)
    kind = pb.RecalCheckRequest if rpc == "Recal/Check" else pb.RecalGenerateRequest
    return kind(prompt=prompt)


every_rpc = pytest.mark.parametrize(
    "rpc", ["Recal/Generate", "Recal/Check", "Gate/Check", "Generation/Generate"]
)


@every_rpc
@pytest.mark.parametrize("prompt", ["", " \n\t"])
async def test_an_empty_prompt(line: Asking, rpc: str, prompt: str):
    ended = await line.call(rpc, request_of(rpc, prompt))
    ended.failed(Code.INVALID_ARGUMENT, "`prompt` is empty", "give some text")


@every_rpc
async def test_a_nul_character(line: Asking, rpc: str):
    ended = await line.call(rpc, request_of(rpc, f"{CANARY}\0{CANARY}"))
    ended.failed(Code.INVALID_ARGUMENT, "NUL character at index 11; remove it")


@every_rpc
@pytest.mark.parametrize("n_bytes", [1_000_000, 2**20])
async def test_a_prompt_of_a_megabyte(line: Asking, rpc: str, n_bytes: int):
    ended = await line.call(rpc, request_of(rpc, (CANARY * 100_000)[:n_bytes]))
    ended.failed(Code.RESOURCE_EXHAUSTED, "at most 262144 are taken; shorten it")


async def test_a_message_that_grpc_itself_cuts(line: Asking):
    ended = await line.generate(CANARY * 500_000)
    ended.failed(Code.RESOURCE_EXHAUSTED, "larger than max")
    assert (await line.generate(ENGLISH)).text


@pytest.mark.parametrize(
    "rpc",
    ["Recal/Generate", "Recal/Check", "Gate/Check", "Generation/Generate", "LanguageId/Identify"],
)
async def test_invalid_utf8(line: Asking, rpc: str):
    ended = await line.call(rpc, INVALID_UTF8 + CANARY.encode())
    ended.failed(Code.INVALID_ARGUMENT, "are no valid `recal.v1.", "its strings as UTF-8")


@every_rpc
async def test_a_prompt_over_the_context(line: Asking, rpc: str):
    ended = await line.call(rpc, request_of(rpc, ENGLISH * 40))
    ended.failed(Code.INVALID_ARGUMENT, "the prompt has ", "at most", "160", "shorten")


async def test_an_answer_that_does_not_fit_behind_the_prompt(line: Asking):
    ended = await line.generate(ENGLISH, sampling=pb.Sampling(max_tokens=128))
    ended.failed(Code.INVALID_ARGUMENT, "together at most 160", "lower `max_tokens`")


@pytest.mark.parametrize("hint", ["klingonish", "xx", "en us", "\u202een"])
async def test_an_unknown_language_hint(line: Asking, hint: str):
    for ended in (
        await line.check(ENGLISH, language_hint=hint),
        await line.generate(ENGLISH, language_hint=hint),
    ):
        ended.failed(Code.INVALID_ARGUMENT, f"`language_hint` {hint!r} is no BCP 47 tag; give one")


@pytest.mark.parametrize(("hint", "language"), [("de-AT", "de"), ("fr", "fr")])
async def test_a_known_hint_only_tightens(line: Asking, hint: str, language: str):
    verdict = (await line.generate(ENGLISH, language_hint=hint)).verdict
    assert (verdict.action, verdict.language) == (pb.ACTION_STEER, language)
    assert (await line.check(GERMAN, language_hint="en-GB")).verdict.action == pb.ACTION_STEER


@pytest.mark.parametrize("max_tokens", [0, 129, 2**32 - 1])
async def test_a_token_limit_of_nothing_or_too_much(line: Asking, max_tokens: int):
    ended = await line.generate(ENGLISH, sampling=pb.Sampling(max_tokens=max_tokens))
    ended.failed(Code.INVALID_ARGUMENT, f"`max_tokens` is {max_tokens}; give 1 to 128")


async def test_a_model_that_is_not_served(line: Asking):
    for ended in (
        await line.check(ENGLISH, model="gpt-9"),
        await line.generate(ENGLISH, model="gpt-9"),
    ):
        ended.failed(Code.NOT_FOUND, "model 'gpt-9' is not served; name `tiny`, or none")


async def test_a_language_without_calibration_is_steered(line: Asking):
    ended = await line.generate(FRENCH)
    assert (ended.verdict.action, ended.verdict.reason) == (
        pb.ACTION_STEER,
        pb.REASON_NO_CALIBRATION,
    )
    assert not ended.verdict.calibration_version


@pytest.mark.parametrize("outcome", ["fail", "refuse"])
async def test_a_language_without_calibration_where_an_operator_is_stricter(
    checkpoint: Path, artefacts: Path, outcome: str
):
    row = OverrideSettings(reason="no_calibration", outcome=outcome)
    settings = settings_for(checkpoint, artefacts, policy=PolicySettings(overrides=(row,)))
    async with asking(settings) as line:
        ended = await line.generate(FRENCH)
        if outcome == "fail":
            command = "run `recal recalibrate --language fr` and promote the result"
            ended.failed(
                Code.FAILED_PRECONDITION, "no calibration for language `fr` with readout", command
            )
        else:
            assert ended.verdict.action == pb.ACTION_REFUSE
            assert ended.frames[-1].usage.n_generated_tokens == 0


async def test_generation_without_a_verdict(line: Asking):
    request = pb.GenerationGenerateRequest(prompt=ENGLISH)
    ended = await line.call("Generation/Generate", request)
    ended.failed(Code.INVALID_ARGUMENT, "`intervention` is not set; generation does nothing")


@pytest.mark.parametrize("action", ["ACTION_STEER", "ACTION_RELEASE"])
async def test_a_verdict_of_a_readout_that_is_not_loaded(line: Asking, action: str):
    edit = pb.Intervention(action=action, readout_version="readout@gone")
    request = pb.GenerationGenerateRequest(prompt=ENGLISH, intervention=edit)
    ended = await line.call("Generation/Generate", request)
    ended.failed(Code.FAILED_PRECONDITION, "`readout@gone` is not loaded", "check the request")


@pytest.mark.parametrize("deadline_ms", ["0", "-5"])
@pytest.mark.parametrize("rpc", ["Recal/Generate", "Recal/Check"])
async def test_a_deadline_in_the_past(line: Asking, rpc: str, deadline_ms: str):
    metadata = (("x-deadline-ms", deadline_ms),)
    ended = await line.call(rpc, request_of(rpc, ENGLISH), metadata=metadata)
    ended.failed(Code.DEADLINE_EXCEEDED, "had passed before work began; give more time")


@pytest.mark.parametrize("timeout_s", [0, -1])
async def test_a_grpc_deadline_in_the_past(line: Asking, timeout_s: float):
    request = request_of("Recal/Generate", ENGLISH)
    ended = await line.call("Recal/Generate", request, timeout_s=timeout_s)
    ended.failed(Code.DEADLINE_EXCEEDED)


async def test_a_deadline_that_is_nearly_gone(checkpoint: Path, artefacts: Path):
    policy = PolicySettings(min_time_left_ms=10_000)
    async with asking(settings_for(checkpoint, artefacts, policy=policy)) as line:
        ended = await line.generate(ENGLISH, metadata=(("x-deadline-ms", "5000"),))
        ended.failed(Code.DEADLINE_EXCEEDED, "less than 10 s of the deadline", "allow more time")


async def test_a_deadline_in_the_middle_of_an_answer(line: Asking):
    deadline = (("x-deadline-ms", "40"),)
    ended = await line.generate(ENGLISH, metadata=deadline, sampling=pb.Sampling(max_tokens=90))
    assert ended.error is not None
    assert ended.error.code() is Code.DEADLINE_EXCEEDED
    assert "allow more time" in (ended.error.details() or "")
    assert [frame.WhichOneof("frame") for frame in ended.frames][:1] in ([], ["verdict"])


async def test_a_client_that_cancels_in_the_middle_of_an_answer(checkpoint: Path, artefacts: Path):
    alone = GenerationSettings(max_batch=1, max_tokens=128)
    async with asking(settings_for(checkpoint, artefacts, generation=alone)) as line:
        call = pb_grpc.RecalStub(line.channel).Generate(
            pb.RecalGenerateRequest(prompt=ENGLISH, sampling=pb.Sampling(max_tokens=90))
        )
        assert (await call.read()).HasField("verdict")
        await call.read()
        call.cancel()

        async def ends() -> tuple[float, float]:
            name, method = "recal_requests_total", "Recal/Generate"
            return tuple(
                line.counted(name, method=method, status=status) for status in ("CANCELLED", "OK")
            )

        await until(ends, (1.0, 0.0))
        assert (await line.generate(ENGLISH)).text


async def test_a_gate_that_goes_away_during_requests(checkpoint: Path, artefacts: Path):
    kept: list[Line] = []

    async def load(settings, meter):
        kept.append(await load_line(settings, meter))
        return kept[0]

    async with asking(settings_for(checkpoint, artefacts), load) as line:
        during = [asyncio.create_task(line.generate(GERMAN)) for _ in range(8)]
        await asyncio.sleep(0.01)
        close_gate, *_ = kept[0].close
        await close_gate()
        during.append(asyncio.create_task(line.generate(GERMAN)))
        *before, after = await asyncio.gather(*during)
        after.failed(
            Code.UNAVAILABLE, "no verdict, so nothing is generated", "shutting down; retry"
        )
        for ended in before:
            if ended.error is None:
                assert ended.verdict.action == pb.ACTION_STEER
            else:
                ended.failed(Code.UNAVAILABLE, "no verdict, so nothing is generated", "retry")
