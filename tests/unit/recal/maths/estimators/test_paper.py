from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recal.maths.estimators.paper import paper_f1
from recal.maths.evidence import Evidence
from tests.unit.recal.maths.estimators.evidences import SOURCE, labelled

few_scores = st.lists(st.integers(-40, 40).map(lambda i: i / 4), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("harmful", "harmless", "threshold"),
    [
        ([1.0], [0.0], 0.5),
        ([0.0], [1.0], -1e-6),
        ([1.0], [1.0], 1 - 1e-6),
        ([1.0, 5.0], [0.0, 2.0], 0.5),
        ([4.0, 5.0, 6.0, 0.0], [1.0, 2.0, 3.0, -1.0], 3.5),
    ],
    ids=["separable", "inverted", "equal", "tie goes to the lowest", "one outlier"],
)
def test_the_papers_rule_by_hand(
    harmful: list[float], harmless: list[float], threshold: float
) -> None:
    assert paper_f1(Evidence(harmful, harmless), source=SOURCE).threshold == threshold


@given(harmful=few_scores, harmless=few_scores)
def test_the_papers_rule_is_the_first_maximum_over_its_candidates(
    harmful: list[float], harmless: list[float]
) -> None:
    distinct = sorted({*harmful, *harmless})
    between = [(a + b) / 2 for a, b in pairwise(distinct)]
    candidates = [distinct[0] - 1e-6, *between, distinct[-1] + 1e-6]
    f1 = []
    for candidate in candidates:
        tpr, fpr = (np.mean(np.asarray(s) >= candidate) for s in (harmful, harmless))
        f1.append(2 * 0.5 * tpr / (2 * 0.5 * tpr + 0.5 * fpr + 0.5 * (1 - tpr)))
    first = next(c for c, f in zip(candidates, f1, strict=True) if f >= max(f1) - 1e-12)
    assert paper_f1(Evidence(harmful, harmless), source=SOURCE).threshold == first


@pytest.mark.parametrize("k", [1, 4, 32])
def test_the_spread_is_what_repeating_the_draw_shows(k: int) -> None:
    rng = np.random.default_rng(k)
    found = [paper_f1(labelled(k, rng, gap=12.0), source=SOURCE) for _ in range(400)]
    seen = np.std([one.threshold for one in found])
    assert found[0].posterior_sd == pytest.approx(seen, rel=0.12)
