"""A curve says what each step multiplies its cost by, and is drawn."""

from __future__ import annotations

from pathlib import Path

from benchmarks.serving.growth import Curve, draw_curves
from benchmarks.serving.spread import spread_of

CURVE = Curve(
    "clients", "ms", {1: spread_of([9.0, 10.0, 12.0]), 2: spread_of([20.0]), 4: spread_of([30.0])}
)


def test_a_step_is_the_cost_by_the_cost_before() -> None:
    assert CURVE.steps == {2: 2.0, 4: 1.5}


def test_the_table_shows_every_value_and_a_step_for_all_but_the_first() -> None:
    *_, first, second, third = CURVE.table("tiny").splitlines()
    assert first == "| 1 | 10 (9–12) | – |"
    assert (second, third) == ("| 2 | 20 (20–20) | 2.00 |", "| 4 | 30 (30–30) | 1.50 |")


def test_curves_are_drawn_into_one_picture(tmp_path: Path) -> None:
    draw_curves([CURVE, CURVE], tmp_path / "pictures" / "growth.png", title="tiny")
    assert (tmp_path / "pictures" / "growth.png").read_bytes().startswith(b"\x89PNG")
