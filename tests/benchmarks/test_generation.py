"""A long measurement can be taken load by load, and says how far it is."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.serving import gating
from benchmarks.serving.choice import loads_named
from benchmarks.serving.generation import BENCHMARK

pytestmark = pytest.mark.organism


def test_loads_are_chosen_by_name_and_an_unknown_one_is_an_error() -> None:
    assert loads_named("one,at-once") == ("one", "at-once")
    for text in ("one,both", "", ","):
        with pytest.raises(argparse.ArgumentTypeError, match="choose of one, many, at-once"):
            loads_named(text)


def test_arrivals_are_not_measured_without_what_says_how_fast_they_come() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="by what `at-once` measures"):
        loads_named("one,arriving")
    assert loads_named("at-once,arriving") == ("at-once", "arriving")


def test_only_the_load_that_was_asked_for_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    report = BENCHMARK.report(["--quick", "--loads", "one", "--repeats", "1"])
    organism = report["models"]["organism"]
    assert set(organism["loads"]) == {"1 client"}
    assert set(organism["loads"]["1 client"]["peers"]) == {"ungated", "fused", "split"}
    assert organism["peak_bytes"] == {}
    assert {bar["claim"].partition(":")[0] for bar in report["bars"]} == {"organism, 1 client"}
    told = capsys.readouterr().err
    assert "organism, 1 client: fused 1 of 1" in told
    assert "| organism, 1 client (6 requests) |" in told


def test_deciding_is_measured_by_the_load_too_and_by_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = gating.BENCHMARK.report(["--quick", "--loads", "one", "--repeats", "1"])
    loads = report["models"]["organism"]
    assert set(loads) == {"1 client"}
    for figures in loads["1 client"]["by_request"].values():
        assert {name: spread["repeats"] for name, spread in figures.items()} == {
            "ttft": 1,
            "tpot": 1,
        }
    assert "| ttft by request | tpot by request |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        gating.BENCHMARK.report(["--loads", "at-once,arriving"])
