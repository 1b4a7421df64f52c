"""Times of requests become the figures that are reported."""

from __future__ import annotations

import pytest

from benchmarks.serving.timings import Answered, Timings, by_request, share_of_ideal, timings


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


def test_beside_the_ideal_an_engine_is_timed_until_its_last_prompt_has_run() -> None:
    # two rows; the third request joins when the first has ended, and runs alone at the end
    ours = timings([answered(0, 1, 3, n=3), answered(0, 1, 9, n=5), answered(0, 5, 13, n=3)])
    ideal = Timings(8.0, 11, prompts_s=4.0)
    # until 5: three prompts, two tokens of the first, half of the second's four; of eight in all
    assert share_of_ideal(ours, ideal) == pytest.approx((4.0 + 4.0 * 4 / 8) / 5.0)
    for one, other in ((Timings(1.0, 1), ideal), (ours, Timings(8.0, 11))):
        with pytest.raises(ValueError, match="have no times"):
            share_of_ideal(one, other)
