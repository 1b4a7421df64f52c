"""All science benchmarks run by one command, on made-up prompts; their numbers say nothing here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.report import Benchmark, Found
from benchmarks.science import __main__ as everything
from benchmarks.science.end_to_end import METHODS
from benchmarks.science.fits import FITS, Bench
from benchmarks.science.golden import BENCHMARK as GOLDEN
from benchmarks.science.organisms import N_QUICK, organism
from benchmarks.science.prompt_sets import LOW, benchmark_prompts, thinned
from benchmarks.science.reading import Reading, read
from benchmarks.science.readouts import difference, measured
from benchmarks.science.thresholds import KS_QUICK
from recal.collect import Activations
from recal.maths.metrics import auroc
from recal.maths.two_class import TwoClass
from tests.unit.benchmarks.science.made_up import rows, write

pytestmark = pytest.mark.organism

ELSEWHERE = "actuation,thresholds_simulated"
"""Tested by themselves."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("prompts"), rows(480))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("science")


@pytest.fixture(scope="module")
def report(folder: Path, root: Path) -> dict[str, Any]:
    target = root / "report.json"
    small = ["--quick", "--only", "qwen2", "--skip", ELSEWHERE]
    everything.main([*small, "--data", f"{folder}", "--root", f"{root}", "--json", f"{target}"])
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def reading(report: dict[str, Any], folder: Path, root: Path) -> Reading:
    sets = thinned(benchmark_prompts(folder), N_QUICK)
    return read("qwen2", organism("qwen2", sets, root=root, quick=True), sets, root=root)


def test_one_report_holds_every_benchmark_with_what_it_was_made_of(report: dict[str, Any]) -> None:
    assert set(report["benchmarks"]) == {each.name for each in everything.ALL} - set(
        ELSEWHERE.split(",")
    )
    assert (report["failed"], report["quick"]) == ([], True)
    for name, each in report["benchmarks"].items():
        assert each["command"].startswith(f"python -m benchmarks.science.{name} --quick")
        assert each["versions"] == report["versions"]
    assert set(report["weights"]) == {"qwen2", "organism-qwen2"}
    assert {bar["benchmark"] for bar in report["bars"]} >= {"golden", "readouts", "end_to_end"}


def test_readouts_and_thresholds_have_a_row_for_everything_that_is_compared(
    report: dict[str, Any],
) -> None:
    rows = report["benchmarks"]["readouts"]["organisms"]["qwen2"]["rows"]
    assert [row["name"] for row in rows] == list(FITS)
    assert all(set(row["languages"]) == set(LOW) for row in rows)
    outcomes = report["benchmarks"]["thresholds"]["organisms"]["qwen2"]["outcomes"]
    assert {each["k"] for each in outcomes} == {None, *KS_QUICK}


def test_every_method_is_judged_twice_in_low_and_high_resource_languages(
    report: dict[str, Any],
) -> None:
    judges = report["benchmarks"]["end_to_end"]["organisms"]["qwen2"]["judges"]
    assert set(judges) == {"organism", "phrases"}
    for each in judges.values():
        for tier in ("low", "high"):
            assert {arm["method"] for arm in each[tier]["arms"]} == set(METHODS)
        assert {r["language"] for r in each["low"]["arms"][0]["results"]} == set(LOW)


@pytest.fixture(scope="module")
def unscored(reading: Reading) -> Bench:
    """Without a scored prompt."""
    seen = {split: each for split, each in reading.activations.items() if split != "test"}
    return Bench(replace(reading, activations=seen), papers_layer=1)


@pytest.mark.parametrize("name", FITS)
def test_no_readout_needs_a_scored_prompt(unscored: Bench, reading: Reading, name: str) -> None:
    scored = measured(name, FITS[name](unscored), reading, draws=1).scored
    assert all(np.isfinite(part).all() for scores in scored.values() for part in scores)


def flipped(activations: Activations) -> Activations:
    prompts = (replace(p, harmful=p.harmful != (p.language in LOW)) for p in activations.prompts)
    return replace(activations, prompts=tuple(prompts))


@pytest.fixture(scope="module")
def mislabelled(reading: Reading) -> Bench:
    """With wrong labels of all prompts of low-resource languages."""
    others = {split: flipped(each) for split, each in reading.activations.items()}
    return Bench(replace(reading, activations=others), papers_layer=1)


def thai(name: str, bench: Bench, reading: Reading) -> np.ndarray:
    return FITS[name](bench).scores(reading.activations["test"], "th").harmful


@pytest.mark.parametrize("name", ["paper", "recal", "aligned, rotation", "distil"])
def test_what_claims_to_do_without_labels_of_its_language_does(
    unscored: Bench, mislabelled: Bench, reading: Reading, name: str
) -> None:
    right, wrong = (thai(name, bench, reading) for bench in (unscored, mislabelled))
    np.testing.assert_allclose(right, wrong, atol=1e-9)


def test_translations_are_learned_from_with_their_labels(
    unscored: Bench, mislabelled: Bench, reading: Reading
) -> None:
    name = "translate_train, all readings"
    right, wrong = (thai(name, bench, reading) for bench in (unscored, mislabelled))
    assert np.abs(right - wrong).max() > 0.1


def test_the_interval_of_a_difference_holds_nothing_for_twins_and_tells_others_apart() -> None:
    rng = np.random.default_rng(0)
    good = {la: TwoClass(rng.normal(2, 1, 80), rng.normal(0, 1, 80)) for la in ("a", "b")}
    bad = {la: TwoClass(rng.normal(0.3, 1, 80), rng.normal(0, 1, 80)) for la in ("a", "b")}
    assert difference(good, good, lambda s: auroc(*s), rng) == (0.0, 0.0)
    assert difference(good, bad, lambda s: auroc(*s), rng).low > 0.1


def benchmark(name: str, measure: Callable[[argparse.Namespace], Found]) -> Benchmark:
    return Benchmark("benchmarks.science", name, "", measure, add_options=lambda parser: None)


def test_one_that_fails_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    def breaks(options: argparse.Namespace) -> Found:
        raise ValueError("made up")

    target = tmp_path / "report.json"
    with pytest.raises(SystemExit) as failed:
        everything.main(["--json", str(target)], benchmarks=[benchmark("breaks", breaks), GOLDEN])
    found = json.loads(target.read_text(encoding="utf-8"))
    assert (failed.value.code, found["failed"]) == (1, ["breaks"])
    assert set(found["benchmarks"]) == {"golden"}


def test_none_runs_where_what_one_of_them_reads_is_missing() -> None:
    ran = []

    def runs(options: argparse.Namespace) -> Found:
        ran.append(options)
        return Found({}, "")

    def misses(options: argparse.Namespace) -> None:
        raise SystemExit("put it there")

    last = replace(benchmark("last", runs), check=misses)
    with pytest.raises(SystemExit, match="put it there"):
        everything.main([], benchmarks=[benchmark("first", runs), last])
    assert ran == []


def test_an_unknown_name_and_a_missing_folder_are_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        everything.main(["--skip", "readout"])
    assert "no benchmark readout; choose of golden" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"need prompts\.jsonl\.gz and matched_eval"):
        everything.main(["--data", str(tmp_path)])
    assert capsys.readouterr().out == "", "something ran before the folder was looked for"
