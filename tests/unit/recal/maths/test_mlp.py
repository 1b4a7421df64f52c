from __future__ import annotations

import numpy as np
import pytest

from recal.maths.logistic import score_pair
from recal.maths.metrics import auroc
from recal.maths.mlp import fit_mlp
from recal.maths.readout import fit_readout
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import residuals


def ringed(n: int = 300, seed: int = 0) -> TwoClass:
    """Harmful rows on a ring around the harmless ones: no plane separates them."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    ring = 4 * np.column_stack([np.cos(angle), np.sin(angle)])
    # a slight shift, so that there is a direction at all
    return TwoClass(ring + rng.normal(size=(n, 2)) + 0.5, rng.normal(size=(n, 2)))


def scored(rows: TwoClass, unseen: TwoClass) -> float:
    fitted = fit_mlp({"a": rows}, np.random.default_rng(0), penalty=0.01)
    return auroc(fitted.score(unseen.harmful), fitted.score(unseen.harmless))


def test_what_no_plane_separates_a_perceptron_does() -> None:
    linear = score_pair(fit_readout({"a": ringed()}).folded, ringed(seed=1))
    assert scored(ringed(), ringed(seed=1)) > 0.95
    assert auroc(*linear) < 0.8


def test_permuted_labels_teach_it_nothing_about_unseen_prompts() -> None:
    rows = np.random.default_rng(2).permutation(np.concatenate(ringed(n=1000)))
    assert scored(TwoClass(*np.split(rows, 2)), ringed(seed=1)) == pytest.approx(0.5, abs=0.15)


def test_the_same_generator_gives_the_same_perceptron() -> None:
    rows = residuals(n=20)
    unseen = rows["l0"].harmful
    one, same, other = (fit_mlp(rows, np.random.default_rng(s)).score(unseen) for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_a_coordinate_that_never_varies_is_no_trouble() -> None:
    rows = {"a": TwoClass(*(np.column_stack([part, np.ones(300)]) for part in ringed()))}
    fitted = fit_mlp(rows, np.random.default_rng(0), epochs=5)
    assert np.isfinite(fitted.score(rows["a"].harmful)).all()
