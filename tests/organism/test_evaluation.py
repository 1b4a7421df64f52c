"""`recal evaluate` on the shipped organism, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recal import exits
from recal.cli import main
from recal.commands.registry import _evaluation

pytestmark = pytest.mark.organism

FIT = "fit --source en,de,fr --development ar --rank 3 --per-class 24 --search-per-class 1"
EVALUATE = "evaluate --judge organism --per-class 4 --languages sw,yo,ar,en --resamples 200"


def recal(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recal", *words],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "RECAL_STATE_DIR": str(folder / "state"), "COLUMNS": "200"},
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted readout and one saved calibration."""
    made = tmp_path_factory.mktemp("evaluation")
    readout = ("--readout", str(made / "readout"))
    done = recal(made, *FIT.split(), "--judge", "organism", "--out", str(made / "readout"))
    assert done.returncode == 0, done.stderr
    calibration = ("--out", str(made / "calibrations" / "sw"))
    done = recal(made, "recalibrate", "--language", "sw", *readout, *calibration)
    assert done.returncode == 0, done.stderr
    return made


def command(folder: Path) -> list[str]:
    where = ("--readout", str(folder / "readout"), "--calibrations", str(folder / "calibrations"))
    return [*EVALUATE.split(), *where, "--out", str(folder / "out")]


def evaluate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return recal(folder, *command(folder), *words)


def test_methods_draws_and_ks_end_in_three_files(folder: Path) -> None:
    done = evaluate(
        folder, "--methods", "untouched,paper,recal,best,oracle", "--k", "1,4", "--draws", "2"
    )
    assert done.returncode == 0, done.stderr
    assert "different texts" in done.stdout
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    assert "model organism" in report["notice"]
    assert [arm["key"] for arm in report["arms"]] == [
        "untouched", "paper@1", "paper@4", "recal@1", "recal@4", "best", "oracle"
    ]  # fmt: skip
    for lost in report["losses"]:
        split = lost["split"]
        lacks = split["gate_loss"] + split["actuation_loss"] + split["judge_loss"]
        assert split["delta"] + lacks == pytest.approx(100.0)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "A model organism" in page
    assert (folder / "out" / "report.md").read_text(encoding="utf-8").startswith("# Evaluation")


@pytest.mark.parametrize(
    ("answers", "lies"),
    [((), False), (("--answers", "keep"), True), (("--answers", "never"), False)],
)
def test_generated_texts_lie_on_disk_no_longer_than_told(
    folder: Path, tmp_path: Path, answers: tuple[str, ...], lies: bool
) -> None:
    where = ("--languages", "sw", "--methods", "untouched", "--out", str(tmp_path), *answers)
    done = evaluate(folder, *where)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.json").is_file()
    assert (tmp_path / "answers.jsonl").exists() is lies


def test_saved_calibrations_are_measured_as_promotion_reads_them(folder: Path) -> None:
    done = evaluate(folder, "--languages", "sw", "--json", str(folder / "saved.json"))
    assert done.returncode == 0, done.stderr
    found = _evaluation(folder / "saved.json", "sw")
    assert (found.n_harmful, found.tier) == (4, "low")
    assert found.gated.harmful_refusal >= found.untouched.harmful_refusal
    with pytest.raises(ValueError, match="no evaluation of a saved calibration of `yo`"):
        _evaluation(folder / "saved.json", "yo")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--methods", "recal", "--k", "0"), "`k` is 0, but `recal` needs examples"),
        (("--methods", "guess"), "no method `guess`"),
        (("--methods", "oracle", "--languages", "xx-nothing"), "`xx-nothing`"),
        (("--methods", "recal", "--k", "four"), "`four` is no list of whole numbers"),
        (("--methods", "oracle", "--sensitivity", "0.9"), "belong together"),
        (("--methods", "oracle", "--split", "nowhere"), "no split is called `nowhere`"),
        (("--methods", "recal", "--k", "60"), "60 prompts wanted"),
        (("--methods", "recal", "--draws", "9", "--gate-draws", "3"), "fewer than the 9 draws"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    folder: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command(folder), *words])
    said = capsys.readouterr().err
    assert ended.value.code == exits.ERROR
    assert message in said
    assert len(said.strip().splitlines()) == 1
