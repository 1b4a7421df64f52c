"""Repeats become a median with its spread, and peers take turns."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator

import pytest

from benchmarks.serving.spread import Spread, in_turns, ratio_of, spread_of


@pytest.fixture(autouse=True)
def nothing_old_to_collect() -> Iterator[None]:
    """Peers collect garbage between turns; all that thousands of tests left would take seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert spread_of([5.0, 1.0, 3.0, 2.0, 9.0]) == Spread(3.0, 1.0, 9.0, 5)
    assert str(spread_of([1.0, 2.0, 4.5])) == "2 (1–4.5)"
    with pytest.raises(ValueError, match="no repeats"):
        spread_of([])


def test_a_ratio_is_taken_within_each_repeat() -> None:
    # the machine got three times slower in the meantime; both peers did
    assert ratio_of([2.0, 6.0, 4.0], [1.0, 3.0, 2.0]) == Spread(2.0, 2.0, 2.0, 3)
    with pytest.raises(ValueError, match="shorter"):
        ratio_of([1.0, 2.0], [1.0])


def test_every_peer_runs_once_in_a_repeat_and_each_is_first_in_turn() -> None:
    order: list[str] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    found = in_turns({name: lambda name=name: run(name) for name in "abc"}, repeats=3)
    assert "".join(order) == "abcbcacab"
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_every_run_of_a_long_measurement_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    in_turns({"ours": int, "theirs": int}, repeats=2, what="30M, 1 client")
    assert re.sub(r"\d+\.\d s", "… s", capsys.readouterr().err).splitlines() == [
        "30M, 1 client: ours 1 of 2, … s",
        "30M, 1 client: theirs 1 of 2, … s",
        "30M, 1 client: theirs 2 of 2, … s",
        "30M, 1 client: ours 2 of 2, … s",
    ]
    in_turns({"ours": int}, repeats=1)
    assert capsys.readouterr().err == ""
