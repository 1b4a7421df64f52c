"""Our maths against the code released with arXiv 2606.01196, on its synthetic activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recal.maths.direction import difference_in_means, pooled_direction, projection_gap
from recal.maths.estimators.paper import paper_f1
from recal.maths.evidence import Evidence
from recal.maths.logistic import fit_logistic, logits
from recal.maths.metrics import auroc, balanced_accuracy
from recal.maths.source import SourceStatistics
from recal.maths.subspace import basis
from recal.maths.threshold import source_threshold
from recal.maths.two_class import TwoClass
from services.domain import Action
from services.generation.intervention import Phase
from services.generation.treatment import Treatment, edits_of
from services.readout.bundle import Steering
from tests.unit.recal.maths.golden import values
from tests.unit.recal.maths.golden.values import N_HARMFUL_SOURCE, Golden

ANY_SOURCE = SourceStatistics(mean_harmful=2, mean_harmless=-2, sd_within=1, threshold=0)


@pytest.fixture(scope="module", params=["copy", "folder"])
def golden(request: pytest.FixtureRequest) -> Golden:
    if request.param == "copy":
        return values.from_copy()
    if not values.FULL.is_dir():
        pytest.skip("the full folder of golden values is not here; the copy was tested")
    return values.from_folder()


def split(table: np.ndarray, n_harmful: int) -> TwoClass:
    return TwoClass(table[:n_harmful].astype(float), table[n_harmful:].astype(float))


def test_directions_are_the_released_ones(golden: Golden) -> None:
    ours = [difference_in_means(*rows) for rows in golden.source().values()]
    np.testing.assert_allclose(ours, golden.directions, atol=1e-5)


def test_the_pooled_direction_is_the_released_one(golden: Golden) -> None:
    ours = pooled_direction(golden.source())
    np.testing.assert_allclose(ours, golden.pooled_direction, atol=1e-5)


def test_the_basis_spans_the_released_subspace(golden: Golden) -> None:
    ours = basis(golden.directions, rank=10)
    columns = golden.projector_columns.shape[1]
    np.testing.assert_allclose((ours @ ours.T)[:, :columns], golden.projector_columns, atol=1e-4)


def test_a_basis_of_lower_rank_does_not_span_it(golden: Golden) -> None:
    ours = basis(golden.directions, rank=9)
    columns = golden.projector_columns.shape[1]
    assert np.abs((ours @ ours.T)[:, :columns] - golden.projector_columns).max() > 1e-2


def test_the_projection_gap_is_the_released_coefficient(golden: Golden) -> None:
    ours = projection_gap(golden.pooled_harmful[:, None], golden.pooled_harmless[:, None], [1.0])
    assert ours == pytest.approx(golden.coefficient[0], abs=1e-4)


def test_the_source_threshold_of_the_paper_is_the_released_one(golden: Golden) -> None:
    harmful = golden.source_logits[:, :N_HARMFUL_SOURCE].ravel()
    harmless = golden.source_logits[:, N_HARMFUL_SOURCE:].ravel()
    ours = paper_f1(Evidence(harmful, harmless), source=ANY_SOURCE).threshold
    assert ours == golden.source_threshold[0]


def test_few_shot_thresholds_of_the_paper_are_the_released_ones(golden: Golden) -> None:
    cases = zip(golden.few_k, golden.few_harmful, golden.few_harmless, strict=True)
    ours = [paper_f1(Evidence(h[:k], n[:k]), source=ANY_SOURCE).threshold for k, h, n in cases]
    # below all scores, the released code subtracts 1e-6 in float32
    np.testing.assert_allclose(ours, golden.few_threshold, rtol=0, atol=5e-7)
    assert (np.array(ours) == golden.few_threshold).mean() > 0.9


def test_few_shot_decisions_of_the_paper_are_the_released_ones(golden: Golden) -> None:
    cases = zip(golden.few_k, golden.few_harmful, golden.few_harmless, strict=True)
    for (k, h, n), theirs in zip(cases, golden.few_threshold, strict=True):
        scores = np.concatenate([h[:k], n[:k]])
        ours = paper_f1(Evidence(h[:k], n[:k]), source=ANY_SOURCE).threshold
        assert ((scores >= ours) == (scores >= theirs)).all()


def test_our_converged_logistic_is_no_worse_on_the_source(golden: Golden) -> None:
    ours, theirs = ours_and_theirs_on_source(golden)
    assert auroc(*ours) == pytest.approx(auroc(*theirs), abs=0.01)
    at_theirs = balanced_accuracy(*theirs, golden.source_threshold[0])
    assert balanced_accuracy(*ours, source_threshold(*ours)) >= at_theirs - 0.01


def test_our_converged_logistic_is_no_worse_on_new_languages(golden: Golden) -> None:
    logistic = fitted(golden)
    threshold = source_threshold(*ours_and_theirs_on_source(golden)[0])
    for projections, logit in zip(golden.target_projections, golden.target_logits, strict=True):
        ours, theirs = split(logits(logistic, projections), 80), split(logit, 80)
        assert auroc(*ours) == pytest.approx(auroc(*theirs), abs=0.01)
        at_theirs = balanced_accuracy(*theirs, golden.source_threshold[0])
        assert balanced_accuracy(*ours, threshold) >= at_theirs - 0.01


def test_prefill_is_edited_as_the_released_hook_does(golden: Golden) -> None:
    ours = edited(golden, golden.hook_prefill, Phase.PREFILL)
    np.testing.assert_allclose(ours, golden.hook_prefill_out, atol=1e-4)


def test_decoding_is_edited_as_the_released_hook_does(golden: Golden) -> None:
    ours = edited(golden, golden.hook_decode, Phase.DECODE)
    np.testing.assert_allclose(ours, golden.hook_decode_out, atol=1e-4)


def test_the_released_hook_tells_the_phases_apart(golden: Golden) -> None:
    ours = edited(golden, golden.hook_prefill, Phase.DECODE)
    assert np.abs(ours - golden.hook_prefill_out).max() > 0.1


def edited(golden: Golden, residual: np.ndarray, phase: Phase) -> np.ndarray:
    direction = torch.from_numpy(golden.pooled_direction)
    steering = Steering(direction, 0, float(golden.coefficient[0]), typical_norm=1.0)
    treatments = [
        Treatment(Action.STEER if harmful else Action.RELEASE, steering)
        for harmful in golden.hook_harmful
    ]
    edits = edits_of(treatments, phase, torch.ones(residual.shape[:2]))
    return edits[0](torch.from_numpy(residual)).numpy()


def fitted(golden: Golden):
    table = enumerate(golden.source_projections)
    return fit_logistic({f"src{i}": split(rows, N_HARMFUL_SOURCE) for i, rows in table})


def ours_and_theirs_on_source(golden: Golden) -> tuple[TwoClass, TwoClass]:
    flat = golden.source_projections.reshape(-1, golden.source_projections.shape[-1])
    ours = logits(fitted(golden), flat).reshape(golden.source_logits.shape)
    n = N_HARMFUL_SOURCE
    theirs = golden.source_logits
    return (
        TwoClass(ours[:, :n].ravel(), ours[:, n:].ravel()),
        TwoClass(theirs[:, :n].ravel(), theirs[:, n:].ravel()),
    )
