"""The benchmark for an accelerator runs at small size on a CPU; its numbers say nothing here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as everything
from benchmarks.gpu.options import NOT_RUN
from benchmarks.serving.peers.catalogue import FUSED, PADDED, TRANSFORMERS, UNGATED

pytestmark = pytest.mark.organism


def test_every_part_runs_on_a_cpu_and_says_that_no_gpu_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.json"
    options = ["--quick", "--repeats", "1", "--device", "cpu", "--models", "gemma-2-9b"]
    everything.main([*options, "--json", f"{target}"])
    report = json.loads(target.read_text(encoding="utf-8"))
    assert (report["failed"], report["bars"]) == ([], [])
    assert set(report["benchmarks"]) == {"prefill", "generation", "compiled"}
    found = report["benchmarks"]["generation"]["models"]["gemma-2-9b"]["2"]
    assert set(found["peers"]) == {UNGATED, FUSED, TRANSFORMERS, PADDED}
    assert set(found["same_answers"]) == {TRANSFORMERS, PADDED}
    assert capsys.readouterr().out.count(NOT_RUN) == 3
