"""The audit of the real embedded line, over gRPC: each verdict once, in each mode, never a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest

from services.pb import recal_pb2 as pb
from services.settings import AuditSettings, ServingMode, Settings
from tests.unit.services.audit.entries import lines_below
from tests.unit.services.embedded.asking import CANARY, Asking, asking
from tests.unit.services.embedded.real_line import settings_for

ENGLISH = f"How do I bake a loaf of {CANARY} at home without an oven?"
GERMAN = f"Wie backe ich zu Hause ein Brot mit {CANARY}, wenn ich keinen Ofen habe?"
MODES: tuple[ServingMode, ...] = get_args(ServingMode)


def audited(checkpoint: Path, artefacts: Path, mode: ServingMode, **section: object) -> Settings:
    audit = AuditSettings(directory=artefacts.with_name("audit"), **section)  # type: ignore[arg-type]
    return settings_for(checkpoint, artefacts, mode=mode, audit=audit, debug_scores=True)


def kept(artefacts: Path) -> list[dict[str, Any]]:
    """The lines of callers; the edge's own self-test has one, too, or more where it was slow."""
    lines = lines_below(artefacts.with_name("audit"))
    assert {each["rpc"] for each in lines if each["request_id"] == "self-test"} == {"Check"}
    return [each for each in lines if each["request_id"] != "self-test"]


async def ask(line: Asking, request_id: str, prompt: str, rpc: str) -> grpc.StatusCode | None:
    request = {"Check": pb.RecalCheckRequest, "Generate": pb.RecalGenerateRequest}[rpc]
    metadata = (("x-request-id", request_id), ("x-recal-debug", "1"))
    ended = await line.call(f"Recal/{rpc}", request(prompt=prompt), metadata=metadata)
    return None if ended.error is None else ended.error.code()


@pytest.mark.parametrize("mode", MODES)
async def test_each_verdict_of_the_front_door_is_one_line_by_the_callers_own_id(
    mode: ServingMode, checkpoint: Path, artefacts: Path
) -> None:
    async with asking(audited(checkpoint, artefacts, mode)) as line:
        for number, prompt in enumerate((ENGLISH, GERMAN, "?!")):
            for rpc in ("Check", "Generate"):
                await ask(line, f"{rpc}-{number}", prompt, rpc)
        answered = ("Check", "Generate") if mode != "sidecar" else ("Check",)
    lines = kept(artefacts)
    assert sorted(each["request_id"] for each in lines) == sorted(
        f"{rpc}-{number}" for rpc in answered for number in range(3)
    )
    assert {each["mode"] for each in lines} == {mode}
    german = [each for each in lines if each["request_id"].endswith("-1")]
    for each in german:
        assert (each["language"], each["action"], each["reason"]) == ("de", "steer", "score")
        assert (each["calibration_version"][:3], each["margin"]) == ("de@", "far_above")
        assert each["readout_version"].startswith("readout@")
    assert CANARY not in json.dumps(lines)


async def test_a_line_has_the_id_that_the_caller_got_back(
    checkpoint: Path, artefacts: Path
) -> None:
    async with asking(audited(checkpoint, artefacts, "sidecar")) as line:
        call = line.channel.unary_unary(
            "/recal.v1.Recal/Check", None, pb.RecalCheckResponse.FromString
        )(pb.RecalCheckRequest(prompt=ENGLISH).SerializeToString())
        await call
        told = dict(await call.trailing_metadata())["x-request-id"]
    assert [each["request_id"] for each in kept(artefacts)] == [told]


async def test_on_a_full_disk_calls_are_answered_and_the_loss_is_counted(
    checkpoint: Path, artefacts: Path
) -> None:
    settings = audited(checkpoint, artefacts, "sidecar")
    assert settings.audit.directory is not None
    settings.audit.directory.write_text("a file where the directory should be")
    async with asking(settings) as line:
        assert await ask(line, "r-1", ENGLISH, "Check") is None
    assert line.counted("recal_audit_dropped_total") == 2  # the self-test's, too


async def test_an_operator_may_do_without(checkpoint: Path, artefacts: Path) -> None:
    async with asking(audited(checkpoint, artefacts, "sidecar", enabled=False)) as line:
        assert await ask(line, "r-1", ENGLISH, "Check") is None
    assert not artefacts.with_name("audit").exists()
