"""The gate over draws: nothing is generated, everything is counted."""

import numpy as np
import pytest

from recal.evaluation.arm import Arm
from recal.evaluation.gating import gate_of
from recal.evaluation.held import Deck, held_out
from recal.evaluation.report import Gate
from recal.maths.metrics import rates_at
from recal.recalibrate import recalibrate_together
from tests.unit.recal.evaluation.stage import LANGUAGES, asked, methods, pool, readout

SW, _, _, EN = held_out(asked(), LANGUAGES)
DECK = Deck(pool(), LANGUAGES)


def gate(name: str, k: int = 0, language: str = "sw", n: int = 8) -> Gate:
    part = SW if language == "sw" else EN
    return gate_of(Arm(methods((name,))[-1], k), part, DECK, n_draws=n)


def test_j_over_draws_is_that_of_each_draws_own_threshold() -> None:
    found = gate("recal", 1)
    draws = [DECK.deal(1, i).activations for i in range(1, 9)]
    together = [recalibrate_together(readout(), drawn, ("sw", "yo", "ar")) for drawn in draws]
    made = [each["sw"].calibration.thresholds.steer for each in together]
    rates = [rates_at(*SW.scores(readout()), threshold) for threshold in made]
    js = [100 * (r.tpr - r.fpr) for r in rates]
    assert found.steer_thresholds == pytest.approx(made)
    assert (found.j.mean, found.j.worst, found.j.n) == pytest.approx((np.mean(js), min(js), 8))
    assert found.tpr - found.fpr == pytest.approx(found.j.mean)


def test_few_examples_spread_wider_than_many() -> None:
    assert gate("recal", 1, n=40).j.sd > gate("recal", 4, n=40).j.sd


def test_where_examples_decide_nothing_there_is_one_draw() -> None:
    found = gate("recal", 4, language="en")
    assert (found.j.n, found.j.sd) == (1, 0.0)


def test_a_method_without_thresholds_is_counted_by_what_it_steers() -> None:
    assert (gate("oracle").j.mean, gate("oracle").steer_thresholds) == (100.0, ())
    assert (gate("steer_all").tpr, gate("steer_all").fpr) == (100.0, 100.0)
    assert gate("untouched").j.mean == 0.0
