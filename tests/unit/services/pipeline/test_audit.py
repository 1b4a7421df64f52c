"""Each verdict is kept once, in every mode, whatever becomes of its answer."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest

from services.domain import Action, Reason, Sampling
from services.errors import NoCalibration, ServiceUnavailable, VersionMismatch
from services.gate.policy import Outcome
from services.pipeline.sidecar import Sidecar
from tests.behind import FakeGate, FakeGeneration
from tests.unit.services.pipeline.lines import (
    ASK,
    FusedLine,
    Line,
    SplitLine,
    unreachable_rows,
)

NAMED = replace(ASK, request_id="r-1", tenant="acme")
GENERATING = pytest.mark.parametrize("made", [SplitLine, FusedLine])


@GENERATING
async def test_an_answer_is_kept_once_with_its_versions_and_its_request(
    made: type[SplitLine | FusedLine],
) -> None:
    line = made()
    await line.answer(NAMED)
    [entry] = line.audit.entries
    assert (entry.request_id, entry.tenant, entry.rpc) == ("r-1", "acme", "Generate")
    assert (entry.mode, entry.language, entry.action) == (line.mode.name, "sw", "steer")
    assert (entry.readout_version, entry.calibration_version) == ("readout@3", "sw@7")
    assert entry.margin == "above"
    assert 0 <= entry.seconds < 10


@pytest.mark.parametrize("mode", [SplitLine().mode, FusedLine().mode, Sidecar()])
async def test_a_check_is_kept_once_in_every_mode(mode: object) -> None:
    line = Line(mode)  # type: ignore[arg-type]
    await line.pipeline.check(NAMED)
    [entry] = line.audit.entries
    assert (entry.rpc, entry.mode, entry.request_id) == ("Check", line.mode.name, "r-1")


async def test_a_verdict_without_a_gate_is_kept_too() -> None:
    line = SplitLine(
        gate=FakeGate(failure=ServiceUnavailable("away")), policy=unreachable_rows(Outcome.ALLOW)
    )
    await line.answer(NAMED)
    [entry] = line.audit.entries
    assert (entry.reason, entry.action) == (Reason.GATE_UNREACHABLE.value, Action.NONE.value)
    assert (entry.bypassed, entry.margin, entry.readout_version) == (True, None, "")


async def test_a_call_that_fails_before_a_verdict_leaves_no_entry() -> None:
    line = SplitLine(gate=FakeGate(failure=NoCalibration("none")))
    with pytest.raises(NoCalibration):
        await line.answer(NAMED)
    assert line.audit.entries == []


@GENERATING
async def test_a_caller_who_hangs_up_after_the_verdict_was_decided_on(
    made: type[SplitLine | FusedLine],
) -> None:
    line = made()
    async with aclosing(line.pipeline.generate(NAMED, Sampling())) as frames:
        await anext(frames)
    assert len(line.audit.entries) == 1


async def test_an_answer_that_breaks_off_is_kept_once() -> None:
    line = SplitLine(generation=FakeGeneration(fails_after=ServiceUnavailable("gone")))
    with pytest.raises(ServiceUnavailable):
        await line.answer(NAMED)
    assert len(line.audit.entries) == 1


async def test_generation_that_is_asked_twice_is_kept_once() -> None:
    line = SplitLine(generation=FakeGeneration(failures=[VersionMismatch("behind")]))
    await line.answer(NAMED)
    assert len(line.generation.asked) == 2
    assert len(line.audit.entries) == 1
