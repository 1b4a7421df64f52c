"""What was added since the last look, and of which language and version it is."""

from __future__ import annotations

import numpy as np
import pytest

from services.drift.counts import BOUNDARIES, Counters, Served, cells, tallied
from services.drift.plan import FIRED, REFUSED, SCORE
from services.drift.sources import Sample
from tests.unit.services.drift.replicas import sample

SW = {"language": "sw", "calibration_version": "sw@1"}


def verdicts(value: float, **labels: str) -> Sample:
    labels = {"reason": "score", "action": "steer", **SW, **labels}
    return sample("recal_verdicts_total", value, **labels)


def grown(counters: Counters, *samples: Sample, now: float = 0.0) -> list[float]:
    return [more for _, more in counters.added(samples, now)]


def test_the_first_look_counts_nothing_because_nobody_knows_when_it_was_counted() -> None:
    counters = Counters()
    assert grown(counters, verdicts(100)) == []
    assert grown(counters, verdicts(103)) == [3]


def test_a_process_that_began_anew_counts_from_nothing_and_so_does_a_new_one() -> None:
    counters = Counters()
    grown(counters, verdicts(100, pod="a"))
    assert grown(counters, verdicts(4, pod="a"), verdicts(6, pod="b")) == [4, 6]


def test_a_series_that_was_away_for_a_while_goes_on_where_it_was() -> None:
    counters = Counters()
    grown(counters, verdicts(100))
    assert grown(counters, now=60) == []
    assert grown(counters, verdicts(110), now=120) == [10]
    grown(counters, now=200_000)
    assert counters.last == {}


def test_requests_are_told_apart_by_language_and_version() -> None:
    other = {"language": "yo", "calibration_version": "yo@3"}
    added = [
        (verdicts(0), 3.0),
        (verdicts(0, action="refuse"), 1.0),
        (verdicts(0, action="none"), 16.0),
        (verdicts(0, **other), 5.0),
    ]
    found = tallied(added)
    assert set(found) == {Served("sw", "sw@1"), Served("yo", "yo@3")}
    fired = found[Served("sw", "sw@1")][FIRED]
    assert (fired.n, fired.hits) == (20, [4])


@pytest.mark.parametrize(
    "labels",
    [
        {"reason": "calibration_stale"},
        {"language": "other"},
        {"calibration_version": "none"},
    ],
)
def test_verdicts_that_no_calibration_made_by_a_score_are_left_out(labels: dict[str, str]) -> None:
    found = tallied([(verdicts(0, **labels), 9.0)])
    assert all(counts[FIRED].n == 0 for counts in found.values())


def test_refusals_are_counted_of_answers_and_are_never_more() -> None:
    answers = sample("recal_answers_total", 0, action="none", **SW)
    refusals = sample("recal_refusals_observed_total", 0, action="none", **SW)
    [counts] = tallied([(answers, 10.0), (refusals, 12.0)]).values()
    assert (counts[REFUSED].n, counts[REFUSED].hits) == (10, [10])


def test_scores_are_counted_at_or_below_each_boundary() -> None:
    added = [
        (sample("recal_score_bucket", 0, le=le, **SW), more)
        for le, more in (("-1.0", 4.0), ("0.0", 7.0), ("+Inf", 10.0))
    ]
    [counts] = tallied(added).values()
    hits = dict(zip(BOUNDARIES, counts[SCORE].hits, strict=True))
    assert (counts[SCORE].n, hits[-1.0], hits[0.0], hits[-6.0]) == (10, 4, 7, 0)


def test_counts_between_boundaries_are_differences() -> None:
    assert cells(np.array([1.0, 4.0]), 9.0).tolist() == [1, 3, 5]
