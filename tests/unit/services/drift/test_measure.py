"""A stream of requests from its first one on: learned, watched, alerted, calm again."""

from __future__ import annotations

import numpy as np
import pytest

from services.drift.measure import DAY_S, Measure, Plan

PLAN = Plan(shift=0.05, false_alarms=0.5)
STEP_S = 600.0


class Stream:
    """10,000 requests a day, a seventieth at a time."""

    def __init__(self, measure: Measure | None = None, plan: Plan = PLAN, n: int = 70) -> None:
        self.rng = np.random.default_rng(11)
        self.measure = measure or Measure.of(1, 0.0)
        self.plan, self.n, self.now = plan, n, 0.0

    def runs(self, share: float, requests: int) -> None:
        for _ in range(round(requests / self.n)):
            self.now += STEP_S
            hits = np.array([float(self.rng.binomial(self.n, share))])
            self.measure.add(self.n, hits, self.now, self.plan)

    def until_alarm(self, share: float, most: int = 10_000) -> float:
        before = self.measure.seen
        while not self.measure.alarm and self.measure.seen < before + most:
            self.runs(share, self.n)
        assert self.measure.alarm
        return self.measure.seen - before


@pytest.fixture
def watched() -> Stream:
    stream = Stream()
    stream.runs(0.1, 14_000)
    assert stream.measure.chart is not None
    return stream


def test_nothing_is_watched_before_a_day_has_passed_and_the_baseline_is_precise() -> None:
    stream = Stream()
    stream.runs(0.1, 9000)
    assert stream.now < DAY_S
    assert stream.measure.chart is None
    slow = Stream(n=7)
    slow.runs(0.1, 1100)
    assert slow.now > DAY_S
    assert slow.measure.chart is None
    slow.runs(0.1, 4000)
    assert slow.measure.chart is not None


@pytest.mark.parametrize(("share", "sign"), [(0.15, 1), (0.05, -1)])
def test_a_shift_of_five_points_is_alerted_within_2000_requests(
    watched: Stream, share: float, sign: int
) -> None:
    assert watched.until_alarm(share) <= 2000
    assert watched.measure.chart is not None
    assert watched.measure.chart.alarms == [sign]
    assert watched.measure.evidence == 1.0


def test_an_alarm_holds_while_the_share_stays_away_and_ends_when_it_is_back(
    watched: Stream,
) -> None:
    watched.until_alarm(0.15)
    watched.runs(0.15, 20_000)
    assert watched.measure.alarm
    watched.runs(0.1, 4000)
    assert not watched.measure.alarm
    assert watched.measure.chart is not None
    assert watched.measure.chart.raised == 1


def test_a_baseline_stays_what_it_was_so_that_slow_drift_is_found(watched: Stream) -> None:
    assert watched.measure.chart is not None
    rates = watched.measure.chart.rates
    for share in np.linspace(0.1, 0.15, 300):
        watched.runs(share, 1000)
    assert watched.measure.alarm
    assert watched.measure.chart.rates == rates


def test_what_was_written_down_goes_on_as_if_it_had_never_stopped(watched: Stream) -> None:
    watched.runs(0.12, 700)
    again = Stream(Measure.model_validate_json(watched.measure.model_dump_json()))
    again.rng.bit_generator.state = watched.rng.bit_generator.state
    again.now = watched.now
    for stream in (watched, again):
        stream.runs(0.14, 700)
    assert again.measure == watched.measure
    assert again.measure.evidence > 0


def test_more_traffic_needs_more_evidence_because_false_alarms_are_promised_by_the_month(
    watched: Stream,
) -> None:
    assert watched.measure.chart is not None
    [before] = watched.measure.chart.thresholds
    watched.n = 700
    watched.runs(0.1, 200_000)
    [after] = watched.measure.chart.thresholds
    assert after > before + 0.5


def test_the_share_of_now_is_that_of_the_last_2000_requests(watched: Stream) -> None:
    watched.runs(0.5, 2300)
    assert watched.measure.observed[0] == pytest.approx(0.5, abs=0.04)
    assert watched.measure.recent_hits[0] < 1300


def test_the_columns_nearest_to_the_cuts_are_watched() -> None:
    plan = Plan(shift=0.05, false_alarms=0.5, cuts=(0.1, 0.5, 0.52))
    measure = Measure.of(4, 0.0)
    for hour in range(48):
        measure.add(1000, np.array([20.0, 120.0, 490.0, 900.0]), hour * 3600.0, plan)
    assert measure.chart is not None
    assert measure.chart.columns == [1, 2]


def test_no_requests_are_no_news(watched: Stream) -> None:
    before = watched.measure.model_dump()
    watched.measure.add(0, np.zeros(1), watched.now + 1, PLAN)
    assert watched.measure.model_dump() == before
