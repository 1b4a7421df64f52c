"""What a baseline knows: shares, and whether its hours differ by more than chance."""

from __future__ import annotations

import numpy as np
import pytest

from services.drift.baseline import Baseline

HOUR_S = 3600.0


def counted(shares: list[float], n: int = 500) -> Baseline:
    """A baseline of one block for each share."""
    rng = np.random.default_rng(5)
    base = Baseline.of(1)
    for hour, share in enumerate(shares):
        hits = np.array([float(rng.binomial(n, share))])
        base.add(0.0, np.zeros(1), hour * HOUR_S)
        base.add(n, hits, (hour + 1) * HOUR_S)
    return base


def test_shares_are_kept_off_nothing_and_everything() -> None:
    base = Baseline.of(2)
    base.add(99, np.array([0.0, 99.0]), 0.0)
    assert base.rates.tolist() == [0.005, 0.995]


def test_hours_that_differ_by_chance_alone_do_not_count_as_different() -> None:
    assert counted([0.1] * 48).dispersion.tolist() == [1.0]


def test_hours_that_differ_by_themselves_make_a_request_count_for_less() -> None:
    day = [0.1 + 0.05 * np.sin(hour / 24 * 2 * np.pi) for hour in range(48)]
    [spread] = counted(day).dispersion
    between = 0.05**2 / 2
    assert spread == pytest.approx(1 + between / (0.09 / 500), rel=0.3)


def test_a_block_is_an_hour_long_and_holds_a_hundred_requests() -> None:
    base = Baseline.of(1)
    for minute in range(0, 180, 10):
        base.add(10, np.array([1.0]), minute * 60.0)
    assert base.blocks == 1
    assert base.blocks_n == 100
