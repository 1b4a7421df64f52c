from __future__ import annotations

from typing import Any

import pytest

from benchmarks.serving import transport
from benchmarks.serving.calls import ECHO, ORGANISM_CALL, PLAIN, SERVE
from benchmarks.serving.frames import CLIENTS, FRAME_MS, N_QUICK, Played, measured_frames
from benchmarks.serving.transport import BENCHMARK
from recal.demo.results import Bar
from services.domain import Action, FinishReason, Intervention, Sampling


def bars_of(echo: list[float], organism: list[float]) -> dict[str, Bar]:
    found = {
        ECHO: {PLAIN: [0.001, 0.002], SERVE: echo},
        ORGANISM_CALL: {PLAIN: [0.004, 0.004], SERVE: organism},
    }
    results: dict[str, Any] = {}
    bars: list[Bar] = []
    transport._calls(found, results, [], bars)
    return {name: bar for name, bar in zip(results, bars, strict=True)}


def test_a_way_that_takes_more_than_its_bar_misses_it_and_one_that_does_not_meets_it():
    bars = bars_of([0.003, 0.006], [0.008, 0.008])
    assert not bars[ECHO].met
    assert bars[ECHO].measured.startswith("3 ")
    assert bars[ORGANISM_CALL].met
    assert bars[ORGANISM_CALL].measured.startswith("2 ")


@pytest.mark.parametrize("frame_s", [0.0, 0.02])
async def test_the_played_engine_says_every_token_however_they_are_gathered(frame_s):
    played = Played(frame_s, n_tokens=9)
    chunks = [chunk async for chunk in played.generate("", Intervention(Action.NONE), Sampling())]
    assert "".join(chunk.text for chunk in chunks) == "word " * 9
    assert sum(chunk.n_tokens for chunk in chunks) == 9
    assert chunks[-1].finish is FinishReason.MAX_TOKENS


async def test_gathered_text_takes_fewer_frames_over_the_wire():
    [single], [gathered] = (await measured_frames(1, quick=True)).values()
    frames = {
        ms: each["frames/s"] / each["tokens/s"]
        for ms, each in zip(FRAME_MS, (single, gathered), strict=True)
    }
    assert frames[0.0] == pytest.approx(1.0)
    assert 1 / N_QUICK <= frames[20.0] < 0.9
    assert CLIENTS > 1


def test_a_quick_run_says_that_it_leaves_ray_out(capsys):
    report = BENCHMARK.report(["--quick", "--repeats", "1"])
    assert "left out of a quick run" in capsys.readouterr().out
    claims = [bar["claim"] for bar in report["bars"]]
    assert [claim for claim in claims if "Serve" in claim] == []
    assert len(claims) == 2
