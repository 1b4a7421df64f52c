from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recal.maths.logistic import score
from recal.maths.metrics import auroc
from recal.maths.readout import fit_readout
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.place import Place
from tests.unit.recal.maths.samples import residuals

WEIGHT = torch.tensor([2.0, 0.0, -1.0])
READOUT = LinearReadout(weight=WEIGHT, bias=0.5)


def fitted() -> tuple[LinearReadout, object, dict]:
    rows = residuals(d=24)
    folded = fit_readout(rows).folded
    online = LinearReadout(torch.from_numpy(folded.weight).float(), folded.bias)
    return online, folded, rows


def test_a_score_by_hand() -> None:
    assert READOUT.score(torch.tensor([1.0, 9.0, 3.0])) == -0.5


@given(amount=st.floats(-1e4, 1e4))
def test_the_score_ignores_orthogonal_components(amount: float) -> None:
    at = torch.tensor([1.0, 2.0, 3.0])
    orthogonal = torch.tensor([1.0, 5.0, 2.0])
    moved = READOUT.score(at + amount * orthogonal)
    assert moved.item() == pytest.approx(READOUT.score(at).item(), abs=1e-2)


def test_the_score_does_not_ignore_its_own_component() -> None:
    at = torch.tensor([1.0, 2.0, 3.0])
    moved = READOUT.score(at + WEIGHT) - READOUT.score(at)
    assert moved.item() == pytest.approx(5.0)


def test_online_and_offline_scores_are_the_same() -> None:
    online, folded, rows = fitted()
    for pair in rows.values():
        offline = score(folded, pair.harmful)
        np.testing.assert_allclose(
            online.score(torch.from_numpy(pair.harmful)).numpy(), offline, atol=1e-4
        )


def test_permuted_labels_have_an_auroc_near_one_half() -> None:
    online, _, _ = fitted()
    pair = residuals(d=24, n=2000)["l0"]
    scores = [online.score(torch.from_numpy(part)).numpy() for part in pair]
    mixed = np.random.default_rng(0).permutation(np.concatenate(scores))
    assert auroc(*np.split(mixed, 2)) == pytest.approx(0.5, abs=0.03)
    assert auroc(*scores) > 0.8


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3)])
def test_leading_dimensions_are_kept(shape: tuple[int, ...]) -> None:
    assert READOUT.score(torch.zeros(shape)).shape == shape[:-1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_scores_are_float32_whatever_the_residual(dtype: torch.dtype) -> None:
    wide = LinearReadout(weight=torch.full((4096,), 1.0), bias=0.0)
    found = wide.score(torch.ones(4096, dtype=dtype))
    assert found.dtype is torch.float32
    assert found == 4096


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_residual_never_looks_like_a_score(bad: float) -> None:
    for i in range(3):
        poisoned = torch.zeros(2, 3)
        poisoned[0, i] = bad
        assert READOUT.score(poisoned).isfinite().tolist() == [False, True]


def test_a_residual_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="the residual has width 4, the readout 3"):
        READOUT.score(torch.zeros(4))


@pytest.mark.parametrize("share", [0.0, -1.0, math.nan, math.inf])
def test_a_part_without_a_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="`share` is"):
        ReadoutPart(Place(0, "last"), READOUT, torch.eye(3, 1), share=share)


@pytest.mark.parametrize("weight", [torch.zeros(3, 1), torch.zeros(3).double()])
def test_a_weight_that_is_no_float32_vector_is_refused(weight: Tensor) -> None:
    with pytest.raises(ValueError, match="a readout's weight is a float32 vector"):
        LinearReadout(weight=weight, bias=0.0)
