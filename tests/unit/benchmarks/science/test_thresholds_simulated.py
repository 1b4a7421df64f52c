"""The simulated table keeps its order with a hundredth of its draws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.science.thresholds_simulated import SETTINGS, Setting, simulate, to_text

N_DRAWS = 60


@pytest.fixture(scope="module", params=SETTINGS, ids=["near", "far"])
def found(request: pytest.FixtureRequest) -> dict:
    return simulate(request.param, N_DRAWS, np.random.default_rng(0))


def mean(found: dict, rule: str, k: int) -> float:
    return float(found["rules"][rule][str(k)]["mean"])


def test_the_best_threshold_is_what_an_auc_allows() -> None:
    assert Setting(0.97, 0, 0).j(0.0, 0.0) == pytest.approx(81.65, abs=0.1)
    assert Setting(0.86, 0, 0).j(0.0, 0.0) == pytest.approx(55.5, abs=0.1)


def test_no_rule_beats_the_best_threshold(found: dict) -> None:
    cells = [cell["mean"] for rule in found["rules"].values() for cell in rule.values()]
    assert max(cells) <= found["oracle"]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_auto_beats_the_papers_rule_at_the_same_k(found: dict, k: int) -> None:
    assert mean(found, "auto: prior of 12", k) > mean(found, "paper_f1", k) + 2


def test_auto_at_four_is_as_good_as_the_papers_rule_at_thirty_two(found: dict) -> None:
    assert mean(found, "auto: prior of 12, sources", 4) > mean(found, "paper_f1", 32) - 0.5


def test_the_table_has_a_line_for_every_rule(found: dict) -> None:
    table = to_text([found], N_DRAWS)
    assert all(rule in table for rule in found["rules"])
    assert f"{N_DRAWS} draws" in table
    assert json.loads(json.dumps(found)) == found
