"""Times of requests become the figures that are reported."""

from __future__ import annotations

import pytest

from benchmarks.serving.timings import Answered, by_request, timings


def answered(arrived: float, first: float, last: float, n: int) -> Answered:
    return Answered(arrived, first, last, tuple(range(n)))


def test_ttft_counts_from_the_arrival_and_tpot_from_the_first_token() -> None:
    one = answered(2.0, 2.5, 4.5, n=5)
    assert (one.ttft, one.tpot) == (0.5, 0.5)


def test_an_answer_of_one_token_has_no_time_per_token_after_the_first() -> None:
    assert answered(0.0, 1.0, 1.0, n=1).tpot is None
    figures = timings([answered(0.0, 1.0, 1.0, n=1)]).figures()
    assert set(figures) == {"tokens_per_s", "ttft_p50", "ttft_p90", "ttft_p99"}


def test_percentiles_are_those_of_the_requests() -> None:
    figures = timings([answered(0.0, float(i), float(i), n=1) for i in range(1, 102)]).figures()
    assert [figures[f"ttft_p{p}"] for p in (50, 90, 99)] == [51.0, 91.0, 100.0]


def test_throughput_is_of_the_time_from_the_first_arrival_to_the_last_token() -> None:
    found = timings([answered(1.0, 2.0, 3.0, n=4), answered(2.0, 3.0, 5.0, n=6)])
    assert (found.seconds, found.figures()["tokens_per_s"]) == (4.0, 2.5)
    with pytest.raises(ValueError, match="no request was answered"):
        timings([])


def test_beside_another_way_each_request_is_compared_with_itself() -> None:
    theirs = timings([answered(0.0, float(i), 3.0 * i, n=3) for i in (1, 10, 100)])
    ours = timings(
        [
            answered(0.0, f * i, f * i + g * i, n=3)
            for i, f, g in ((1, 3, 2), (10, 2, 8), (100, 5, 4))
        ]
    )
    assert by_request(ours, theirs) == pytest.approx({"ttft": 3.0, "tpot": 2.0})


def test_an_answer_of_one_token_is_compared_by_its_first_alone() -> None:
    short = timings([answered(0.0, 1.0, 1.0, n=1)])
    assert by_request(short, short) == {"ttft": 1.0}
    with pytest.raises(ValueError, match="longer than"):
        by_request(short, timings([answered(0.0, 1.0, 1.0, n=1)] * 2))
