from __future__ import annotations

import pytest
from typer.testing import CliRunner

from recal.cli import app


@pytest.mark.parametrize(("points", "bound"), [("90", "equal to 50"), ("0.05", "equal to 0.5")])
def test_a_shift_that_makes_no_sense_is_refused_in_the_points_it_was_given_in(
    points: str, bound: str
) -> None:
    done = CliRunner().invoke(app, ["monitor", "--once", "--shift", points])
    assert done.exit_code == 2
    assert bound in done.output
