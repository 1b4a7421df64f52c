"""The serving benchmark runs by one command, into one report; its numbers say nothing here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.serving import __main__ as everything
from benchmarks.serving.peers.catalogue import (
    FUSED,
    IDEAL,
    PADDED,
    PEERS,
    RELEASED,
    SPLIT,
    TRANSFORMERS,
    UNGATED,
)

pytestmark = pytest.mark.organism


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("serving") / "report.json"
    everything.main(["--quick", "--repeats", "1", "--requests", "2", "--json", f"{target}"])
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


def test_one_report_holds_every_part_with_what_it_was_made_of(report: dict[str, Any]) -> None:
    assert set(report["benchmarks"]) == {each.name for each in everything.ALL}
    assert (report["failed"], report["quick"]) == ([], True)
    assert report["benchmarks"]["generation"]["command"].startswith(
        "python -m benchmarks.serving.generation --quick --repeats 1"
    )
    assert set(report["weights"]) == {"organism"}
    with_bars = set(report["benchmarks"]) - {"growth"}
    assert {bar["benchmark"] for bar in report["bars"]} == with_bars


def test_every_load_has_a_ratio_to_the_ungated_engine_for_every_peer(
    report: dict[str, Any],
) -> None:
    found = report["benchmarks"]["generation"]["models"]["organism"]
    loads = {name: set(each["peers"]) for name, each in found["loads"].items()}
    assert loads == {
        "1 client": {UNGATED, SPLIT, FUSED},
        "16 clients": {UNGATED, SPLIT, FUSED},
        "all at once": set(PEERS),
        "Poisson arrivals": set(PEERS) - {IDEAL},
    }
    same = {FUSED: 1.0, RELEASED: 1.0, PADDED: 1.0, TRANSFORMERS: 1.0}
    assert found["loads"]["all at once"]["same_answers"] == same
    figures = found["loads"]["all at once"]["peers"][SPLIT]
    assert {"tokens_per_s", "ttft_p99", "tpot_p50"} <= set(figures)
    assert figures["ttft_p50"]["by_ungated"]["repeats"] == 1
    assert all(peak is None or peak > 0 for peak in found["peak_bytes"].values())


def test_an_unknown_part_or_model_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        everything.main(["--skip", "engine"])
    assert "no benchmark engine; choose of generation, checking" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no model `7B`; choose of organism, 30M, 300M"):
        everything.main(["--skip", "generation", "--models", "7B"])


@pytest.mark.parametrize("option", ["--rows", "--requests", "--repeats", "--threads"])
def test_a_number_that_is_none_is_refused_before_anything_runs(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in ("0", "-1", "x"):
        with pytest.raises(SystemExit):
            everything.main([option, given])
        assert f"python -m benchmarks.serving: error: argument {option}" in capsys.readouterr().err
