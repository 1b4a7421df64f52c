"""What a benchmark cannot use is refused before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import drift
from benchmarks.arguments import count, positive, writable
from benchmarks.report import Benchmark
from benchmarks.rollout import __main__ as rollout
from benchmarks.science import thresholds


def test_a_count_is_a_whole_number_of_at_least_one() -> None:
    assert count("12") == 12
    for text in ("0", "-3", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"`{text}` is no number of at least"):
            count(text)


def test_what_must_be_positive_is_a_finite_number_above_zero() -> None:
    assert positive("0.5") == 0.5
    for text in ("0", "-3", "inf", "nan", "soon", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"`{text}` is no number above 0"):
            positive(text)


@pytest.mark.parametrize(
    ("benchmark", "option"),
    [
        (rollout.BENCHMARK, "--moves"),
        (rollout.BENCHMARK, "--clients"),
        (rollout.BENCHMARK, "--poll"),
        (rollout.BENCHMARK, "--outage"),
        (thresholds.BENCHMARK, "--draws"),
        (drift.BENCHMARK, "--languages"),
    ],
)
def test_a_benchmark_does_not_begin_with_less_than_it_needs(
    benchmark: Benchmark, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.parser().parse_args([option, "-3"])
    assert f"argument {option}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        benchmark.parser().parse_args([option, "0"])
    assert f"argument {option}: `0` is no number" in capsys.readouterr().err


def test_a_file_to_write_gets_its_folder_before_anything_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    assert writable(str(path)) == path
    assert path.parent.is_dir()
    assert not path.exists()
    link = tmp_path / "link"
    link.symlink_to(path)
    assert writable(str(link)) == link
    assert link.is_symlink()


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    refused = {
        str(tmp_path): "is a folder; name a file",
        str(tmp_path / "file" / "report.json"): "cannot be written",
        "/proc/version": "cannot be written",
    }
    for text, why in refused.items():
        with pytest.raises(SystemExit):
            drift.BENCHMARK.parser().parse_args(["--json", text])
        assert f"argument --json: `{text}` {why}" in capsys.readouterr().err
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"
