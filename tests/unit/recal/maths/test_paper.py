from __future__ import annotations

import numpy as np
import pytest
import torch

from recal.maths.logistic import fit_logistic, logits, score, score_pair
from recal.maths.paper import balanced_f1, fit_paper, fit_probe
from recal.maths.two_class import FloatArray, TwoClass
from tests.unit.recal.maths.samples import residuals


def projections(n: int = 60, m: int = 40, rank: int = 3, seed: int = 0) -> TwoClass:
    rng = np.random.default_rng(seed)
    return TwoClass(rng.normal(1.0, 2.0, (n, rank)), rng.normal(-0.5, 1.0, (m, rank)))


def torchs_adamw(rows: TwoClass, start: FloatArray) -> FloatArray:
    """The same recipe in torch, from the same start."""
    table = torch.tensor(np.concatenate(rows))
    table = (table - table.mean(0)) / table.std(0, correction=0)
    labels = torch.tensor([1.0] * len(rows.harmful) + [0.0] * len(rows.harmless)).double()
    probe = torch.nn.Linear(table.shape[1], 1, dtype=torch.float64)
    with torch.no_grad():
        probe.weight.copy_(torch.tensor(start)[None])
        probe.bias.zero_()
    optimiser = torch.optim.AdamW(probe.parameters(), lr=0.05, weight_decay=0.01)
    weight = torch.tensor(len(rows.harmless) / len(rows.harmful))
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
    for _ in range(80):
        optimiser.zero_grad()
        loss(probe(table).squeeze(-1), labels).backward()
        optimiser.step()
    return np.append(probe.weight.detach().numpy().ravel(), probe.bias.item())


def start_of(seed: int, rank: int) -> FloatArray:
    bound = np.sqrt(6.0 / (rank + 1))
    return np.random.default_rng(seed).uniform(-bound, bound, size=rank)


def test_the_probe_takes_the_steps_that_torch_would_take() -> None:
    rows = projections()
    found = fit_probe(rows, np.random.default_rng(4))
    expected = torchs_adamw(rows, start_of(4, 3))
    np.testing.assert_allclose(np.append(found.weights, found.bias), expected, atol=1e-8)


def test_the_probe_is_where_its_generator_starts_it_and_nowhere_else() -> None:
    rows = projections()
    one, same, other = (fit_probe(rows, np.random.default_rng(s)).weights for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4


def test_the_probe_stops_short_of_convergence() -> None:
    rows = projections(m=60)
    converged = fit_logistic({"all": rows}, c=1e6)
    early = fit_probe(rows, np.random.default_rng(0))
    assert np.abs(early.weights - converged.weights).max() > 0.01
    found = np.corrcoef(logits(early, rows.harmful), logits(converged, rows.harmful))[0, 1]
    assert found > 0.99


def test_examples_move_the_probe_and_set_its_threshold() -> None:
    source = residuals(n_languages=5)
    target = source.pop("l4")
    examples = TwoClass(target.harmful[:4], target.harmless[:4])
    zero, few = (
        fit_paper(source, np.random.default_rng(0), examples=given, rank=4)
        for given in (None, examples)
    )
    assert not np.allclose(zero.folded.weight, few.folded.weight)
    np.testing.assert_allclose(zero.basis, few.basis)
    scores = score_pair(few.folded, examples)
    assert few.f1 == balanced_f1(*scores, few.threshold) == 1.0
    assert few.threshold == pytest.approx((scores.harmful.min() + scores.harmless.max()) / 2)


def test_inverted_examples_flag_nearly_everything() -> None:
    source = residuals(n_languages=4)
    target = source["l0"]
    swapped = TwoClass(target.harmless[:1], target.harmful[:1])
    gate = fit_paper(source, np.random.default_rng(0), examples=swapped, rank=4)
    assert (score(gate.folded, np.concatenate(target)) >= gate.threshold).mean() > 0.9


def test_the_source_threshold_separates_the_sources() -> None:
    gate = fit_paper(residuals(), np.random.default_rng(0), rank=4)
    assert gate.f1 > 0.9
    assert gate.source.threshold == gate.threshold


def test_a_rank_above_the_number_of_languages_is_refused() -> None:
    with pytest.raises(ValueError, match="`rank` is 10 with 4 directions"):
        fit_paper(residuals(), np.random.default_rng(0))


def test_a_projection_that_does_not_vary_is_named() -> None:
    rows = TwoClass(*(np.column_stack([part, np.ones(len(part))]) for part in projections()))
    with pytest.raises(ValueError, match=r"projection\(s\) \[3\] do not vary"):
        fit_probe(rows, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("harmful", "harmless", "f1"),
    [([1.0, 2.0], [-1.0, -2.0], 1.0), ([-1.0], [-1.0], 0.0), ([1.0], [1.0], 2 / 3)],
)
def test_f1_weighs_the_classes_alike(
    harmful: list[float], harmless: list[float], f1: float
) -> None:
    assert balanced_f1(harmful, harmless, 0.0) == pytest.approx(f1)
    assert balanced_f1(harmful, harmless * 9, 0.0) == pytest.approx(f1)
