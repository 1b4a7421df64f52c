"""Drift of whole fleets: replicas that restart, a monitor that restarts, versions that change."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from services.drift.monitor import Monitor, References
from services.drift.plan import plans
from services.drift.state import State
from services.errors import RegistryUnreachable
from services.readout.bundle import Bundle
from services.telemetry import MONITORED, PrometheusMeter
from tests.unit.services.drift.replicas import Replicas, values
from tests.unit.services.readout.factories import a_bundle
from tests.unit.services.readout.sources import ChangingSource

SW1 = ("sw@1", "sw", "fired")
"""Label values of a gauge, sorted by the labels' names."""


class Fleet:
    """Replicas and a monitor that looks after every twenty minutes of traffic."""

    def __init__(self, path: Path, replicas: Replicas | None = None) -> None:
        self.path = path
        self.replicas = replicas or Replicas()
        self.begin()

    def begin(self, references: References | None = None) -> None:
        """Start the monitor, or start it again."""
        self.meter = PrometheusMeter(metrics=MONITORED)
        self.monitor = Monitor(
            self.replicas,
            self.path,
            self.meter,
            plans(),
            references=references,
            clock=self.replicas.clock,
        )

    def runs(self, share: float, looks: int, *, n: int = 80, version: str = "sw@1") -> None:
        for _ in range(looks):
            self.replicas.serve(n, share, version=version)
            self.monitor.look()

    def gauge(self, name: str) -> dict[tuple[str, ...], float]:
        return dict(values(self.meter, name))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Two days of calm: 11,520 requests a day, a tenth steered."""
    fleet = Fleet(tmp_path / "monitor.json")
    fleet.monitor.look()
    fleet.runs(0.1, 144)
    return fleet


def test_calm_traffic_is_watched_and_raises_nothing(fleet: Fleet) -> None:
    assert fleet.gauge("recal_drift_watching")[SW1] == 1
    assert set(fleet.gauge("recal_drift_alarm").values()) == {0}
    assert fleet.gauge("recal_drift_baseline_rate")[SW1] == pytest.approx(0.1, abs=0.01)
    bounds = fleet.gauge("recal_drift_band")
    assert bounds[("high", *SW1)] - bounds[("low", *SW1)] == pytest.approx(0.1)


def test_a_shift_of_five_points_is_alerted_within_2000_requests_and_ends(fleet: Fleet) -> None:
    before = fleet.gauge("recal_drift_requests")[SW1]
    while not fleet.gauge("recal_drift_alarm")[SW1]:
        fleet.runs(0.15, 1)
    assert fleet.gauge("recal_drift_requests")[SW1] - before <= 2000
    assert fleet.gauge("recal_drift_evidence")[SW1] == 1
    fleet.runs(0.1, 40)
    assert fleet.gauge("recal_drift_alarm")[SW1] == 0


def test_a_monitor_that_is_started_again_goes_on_where_it_was(fleet: Fleet) -> None:
    fleet.runs(0.13, 8)
    before = fleet.gauge("recal_drift_evidence")
    assert before[SW1] > 0
    fleet.begin()
    assert fleet.gauge("recal_drift_evidence") == before
    seen = fleet.gauge("recal_drift_requests")[SW1]
    fleet.replicas.serve(80, 0.1)  # while it was away
    fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_requests")[SW1] == seen + 320


def test_replicas_that_are_restarted_lose_no_request_that_was_seen(fleet: Fleet) -> None:
    seen = fleet.gauge("recal_drift_requests")[SW1]
    for turn in range(4):
        fleet.replicas.restart(turn % 2)
        fleet.runs(0.1, 5)
    assert fleet.gauge("recal_drift_requests")[SW1] == seen + 3200
    assert fleet.gauge("recal_drift_alarm")[SW1] == 0


def test_a_new_version_begins_anew_and_a_rollback_finds_its_baseline(fleet: Fleet) -> None:
    fleet.runs(0.3, 10, version="sw@2")
    new = ("sw@2", "sw", "fired")
    assert fleet.gauge("recal_drift_watching")[new] == 0
    assert set(fleet.gauge("recal_drift_alarm").values()) == {0}
    assert SW1 not in fleet.gauge("recal_drift_watching")
    fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_watching")[SW1] == 1
    assert new in fleet.gauge("recal_drift_watching")  # both serve, as with a canary
    fleet.runs(0.1, 10)
    assert new not in fleet.gauge("recal_drift_watching")


def test_a_version_without_requests_for_two_weeks_is_forgotten(fleet: Fleet) -> None:
    fleet.replicas.now += 15 * 86_400
    fleet.runs(0.1, 1, version="sw@2")
    assert [each.calibration_version for each in fleet.monitor.state.watched] == ["sw@2"]


def test_while_counts_cannot_be_read_the_last_reading_grows_old_and_the_log_says_why(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    [read] = fleet.gauge("recal_drift_read_timestamp_seconds").values()
    seen = fleet.gauge("recal_drift_requests")[SW1]
    fleet.replicas.is_away = True
    fleet.replicas.serve(80, 0.1)
    with caplog.at_level(logging.WARNING):
        assert not fleet.monitor.try_look()
    assert "drift is not watched: `http://replica` does not answer" in caplog.text
    assert list(fleet.gauge("recal_drift_read_timestamp_seconds").values()) == [read]
    fleet.replicas.is_away = False
    assert fleet.monitor.try_look()
    assert fleet.gauge("recal_drift_requests")[SW1] == seen + 160


def test_what_is_no_state_is_refused_with_the_way_out(fleet: Fleet) -> None:
    for content in ("{", '{"schema_version": 2}', '{"watched": [{"language": "sw"}]}'):
        fleet.path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match="is no state of this monitor; move it away"):
            fleet.begin()


def test_a_state_is_written_whole_or_not_at_all(fleet: Fleet) -> None:
    fleet.runs(0.1, 1)
    State.model_validate_json(fleet.path.read_text(encoding="utf-8"))
    assert [path.name for path in fleet.path.parent.iterdir()] == [fleet.path.name]


def test_scores_that_move_are_alerted_and_the_stability_index_stands_beside(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path / "monitor.json", Replicas(1))
    fleet.monitor.look()
    normal = fleet.replicas.rng.normal
    scores = ("sw@1", "sw", "score")
    for _ in range(110):
        fleet.replicas.score(normal(-1.5, 1.0, 160).tolist())
        fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_watching")[scores] == 1
    assert fleet.gauge("recal_drift_psi")["baseline", "sw@1", "sw"] < 0.05
    for _ in range(18):
        fleet.replicas.score(normal(-1.2, 1.0, 160).tolist())
        fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_alarm")[scores] == 1
    assert fleet.gauge("recal_drift_alarm")[SW1] == 0
    assert 0.05 < fleet.gauge("recal_drift_psi")["baseline", "sw@1", "sw"] < 0.25


def referred(version: int) -> Bundle:
    return a_bundle(["sw"], number=version)


def test_a_share_that_no_mix_of_the_calibrations_prompts_gives_is_told(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    source = ChangingSource(referred(1))
    fleet.begin(References(source))
    fleet.runs(0.1, 1)
    [reference] = fleet.monitor.state.references.values()
    reference.harmful, reference.harmless = 0.9, 0.4
    reference.n_harmful = reference.n_harmless = 1000
    fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_outside_calibration")["sw@1", "sw"] == 1
    reference.harmless = 0.05
    fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_outside_calibration")["sw@1", "sw"] == 0
    source.is_away = True
    with caplog.at_level(logging.WARNING):
        fleet.runs(0.1, 2)
    assert caplog.text.count("calibrations cannot be read") == 1
    assert "sw@1" in fleet.monitor.state.references


def test_a_registry_that_is_away_at_the_start_is_no_reason_not_to_watch(fleet: Fleet) -> None:
    source = ChangingSource(referred(1))
    source.is_away = True
    with pytest.raises(RegistryUnreachable):
        source.fingerprint()
    fleet.begin(References(source))
    fleet.runs(0.1, 1)
    assert fleet.gauge("recal_drift_watching")[SW1] == 1
    assert fleet.gauge("recal_drift_outside_calibration") == {}


def test_a_language_whose_change_is_accepted_is_learned_anew(fleet: Fleet) -> None:
    fleet.runs(0.2, 20)
    assert fleet.gauge("recal_drift_alarm")[SW1] == 1
    with pytest.raises(ValueError, match="nothing is watched of `yo`, only of: sw"):
        fleet.monitor.forget("yo")
    fleet.monitor.forget("sw")
    fleet.begin()
    fleet.runs(0.2, 100)
    assert fleet.gauge("recal_drift_alarm")[SW1] == 0
    assert fleet.gauge("recal_drift_baseline_rate")[SW1] == pytest.approx(0.2, abs=0.02)
