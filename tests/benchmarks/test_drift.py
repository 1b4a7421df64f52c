"""The simulation of drift runs, says what it found, and notices a detector that does not work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drift import BENCHMARK, Cell, bars, delays, learned
from benchmarks.drift_traffic import DAY_S, Traffic, draw
from services.drift.plan import FIRED, REFUSED, SCORE

GOOD = Cell(1e3, 0.1, 4000.0, 0.5, 700.0, 1500.0, 0.98, 500.0, 1000.0, 1.0)


def test_a_quick_run_writes_its_figures_and_draws_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `report`")
    written, picture = tmp_path / "drift.json", tmp_path / "drift.png"
    given = ["--quick", "--json", str(written), "--picture", str(picture)]
    report = BENCHMARK.report(given)
    assert json.loads(written.read_text(encoding="utf-8"))["cells"] == report["cells"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [bar["met"] for bar in report["bars"]] == [True, True, True]


@pytest.mark.parametrize(
    ("change", "index"),
    [({"false_alarms": 1.2}, 0), ({"fall_mean": 2100.0}, 1), ({"rise_within": 0.9}, 2)],
)
def test_a_bar_that_is_missed_is_said_to_be(change: dict[str, float], index: int) -> None:
    from dataclasses import replace

    assert all(bar.met for bar in bars([GOOD]))
    missed = bars([GOOD, replace(GOOD, **change)])
    assert [bar.met for bar in missed] == [place != index for place in range(3)]


def test_simulated_traffic_steers_as_many_as_it_says_and_its_volume_swings() -> None:
    rng = np.random.default_rng(1)
    counted = draw(Traffic(1e4, 0.1), 1000, 0.1, 400, rng)
    assert counted[FIRED].mean() == pytest.approx(100, abs=2)
    assert counted[REFUSED].mean() == pytest.approx(0.9 * 100 + 0.01 * 900, abs=2)
    assert np.all(np.diff(counted[SCORE], axis=1) >= 0)
    swings = Traffic(1e4, 0.1, volume_swing=0.8)
    hours = [swings.n_between(h * 3600.0, (h + 1) * 3600.0) for h in range(24)]
    assert max(hours) > 5 * min(hours)


def test_a_shift_that_does_not_come_is_not_found() -> None:
    rng = np.random.default_rng(2)
    traffic = Traffic(1e4, 0.1)
    languages, begun = learned(traffic, 3, rng)
    assert begun >= DAY_S
    assert np.all(np.isinf(delays(traffic, languages, traffic.fired, rng)))
