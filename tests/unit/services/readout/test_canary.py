"""Who gets the challenger: the same in every process, as many as the share says."""

from __future__ import annotations

import subprocess
import sys
from math import inf, nan

import pytest

from services.readout.canary import Challenger, drawn
from tests.unit.services.readout.factories import a_calibration

KEYS = [f"user {number}" for number in range(10_000)]


def challenger(share: float, version: str = "sw@2") -> Challenger:
    return Challenger(a_calibration(version=version), share)


def taken(of: Challenger) -> set[str]:
    return {key for key in KEYS if of.takes(key)}


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_a_challenger_takes_its_share_of_keys(share: float) -> None:
    # four standard deviations of a binomial
    room = 4 * (share * (1 - share) / len(KEYS)) ** 0.5
    assert abs(len(taken(challenger(share))) / len(KEYS) - share) < room


def test_a_share_of_all_takes_every_key() -> None:
    assert taken(challenger(1.0)) == set(KEYS)


def test_a_share_that_grows_keeps_the_keys_that_it_had() -> None:
    assert taken(challenger(0.1)) < taken(challenger(0.3)) < taken(challenger(0.8))


def test_another_version_meets_other_keys() -> None:
    both = taken(challenger(0.1)) & taken(challenger(0.1, "sw@3"))
    assert len(both) < 0.02 * len(KEYS)


def test_another_process_draws_alike_whatever_its_hash_seed() -> None:
    ask = "from services.readout.canary import drawn; print(drawn('user 7', 'sw@2'))"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", ask],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert float(found.stdout) == drawn("user 7", "sw@2")


def test_the_draw_is_what_it_was_when_it_was_first_released() -> None:
    assert drawn("user 7", "sw@2") == 0.465442805462986


def test_where_salt_ends_and_key_begins_is_not_open() -> None:
    assert drawn("1x", "sw@") != drawn("x", "sw@1")


def test_draws_fill_the_unit_interval_evenly() -> None:
    found = sorted(drawn(key, "sw@2") for key in KEYS)
    assert found[0] >= 0
    assert found[-1] < 1
    furthest = max(abs(draw - rank / len(found)) for rank, draw in enumerate(found))
    assert furthest < 2 / len(found) ** 0.5  # Kolmogorov and Smirnov's at far below 1 %


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0001, nan, inf])
def test_a_share_outside_its_range_is_named(share: float) -> None:
    with pytest.raises(ValueError, match=r"the share of `sw@2` is .*; give above 0, at most 1"):
        challenger(share)


def test_keys_of_any_script_are_drawn() -> None:
    assert 0 <= drawn("ကို", "my@1") < 1
