from __future__ import annotations

import pytest

from services.errors import DeadlinePassed, InvalidRequest
from services.rpc.call import DeadlineLimits, call_of


def left_of(metadata=(), **options) -> float | None:
    return call_of(metadata, request_id="id-1", **options).time_left_s()


def test_without_any_deadline_there_is_none():
    assert left_of() is None


@pytest.mark.parametrize("milliseconds", ["0", "-1"])
def test_a_deadline_in_the_past_is_raised_before_anybody_works(milliseconds):
    with pytest.raises(DeadlinePassed):
        call_of((("x-deadline-ms", milliseconds),), request_id="id-1")


@pytest.mark.parametrize(("transport_s", "milliseconds"), [(50.0, "90000"), (90.0, "50000")])
def test_the_sooner_of_two_deadlines_counts(transport_s, milliseconds):
    left = left_of((("x-deadline-ms", milliseconds),), time_left_s=transport_s)
    assert 49 < left <= 50


def test_a_default_is_for_calls_without_and_a_cap_for_all():
    limits = DeadlineLimits(default_s=70.0, max_s=100.0)
    assert 69 < left_of(limits=limits) <= 70
    assert 99 < left_of(limits=limits, time_left_s=500.0) <= 100
    assert 9 < left_of(limits=limits, time_left_s=10.0) <= 10


@pytest.mark.parametrize("text", ["soon", "1.5", "1e3", "9" * 13, "٣"])
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(text):
    with pytest.raises(InvalidRequest, match="x-deadline-ms"):
        left_of((("x-deadline-ms", text),))


@pytest.mark.parametrize(("wish", "debug"), [("1", True), ("0", False), ("true", False)])
def test_debug_is_asked_for_by_a_one_and_nothing_else(wish, debug):
    assert call_of((("x-recal-debug", wish),), request_id="id-1").debug is debug


@pytest.mark.parametrize(("given_s", "kept_s"), [(10.0, 0.02), (0.1, 0.01)])
def test_a_little_of_a_deadline_is_kept_for_the_words_of_a_late_answer(given_s, kept_s):
    limits = DeadlineLimits(reserve_s=0.02)
    call = call_of((), request_id="id-1", time_left_s=given_s, limits=limits)
    assert call.reserve_s == pytest.approx(kept_s)
    left, patience = call.time_left_s(), call.patience_s()
    assert given_s - kept_s - 0.01 < left <= given_s - kept_s
    assert left < patience <= given_s - kept_s / 2


def test_without_a_deadline_there_is_patience_for_ever():
    assert (
        call_of((), request_id="id-1", limits=DeadlineLimits(reserve_s=0.02)).patience_s() is None
    )
