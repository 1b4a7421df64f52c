from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from services.domain import Action
from services.generation.intervention import (
    Phase,
    ablate,
    apply,
    check_unit_norm,
    coefficients,
    rank_one,
    steer,
)

D = 16
EVERY_DTYPE = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])


def residual(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (5 * torch.randn(*shape, D, generator=generator)).to(dtype)


def unit(seed: int = 9) -> Tensor:
    vector = torch.randn(D, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def full(value: float, like: Tensor) -> Tensor:
    return torch.full(like.shape[:-1], value)


def test_ablation_leaves_no_component_along_the_direction() -> None:
    edited = ablate(residual(3, 4), unit())
    torch.testing.assert_close(edited @ unit(), torch.zeros(3, 4), atol=1e-5, rtol=0)
    assert (residual(3, 4) @ unit()).abs().max() > 1


def test_ablation_is_idempotent_and_steering_is_not() -> None:
    once = ablate(residual(3, 4), unit())
    torch.testing.assert_close(ablate(once, unit()), once, atol=1e-5, rtol=0)
    steered = steer(residual(3, 4), unit(), 2.0)
    assert (steer(steered, unit(), 2.0) - steered).abs().max() > 0.1


@given(s=st.floats(-20, 20), c=st.floats(-3, 3), seed=st.integers(0, 99))
def test_no_edit_touches_the_orthogonal_complement(s: float, c: float, seed: int) -> None:
    before = residual(2, 3, seed=seed)
    after = apply(before, unit(), full(s, before), full(c, before))
    torch.testing.assert_close(ablate(after, unit()), ablate(before, unit()), atol=1e-4, rtol=0)


def test_another_direction_does_touch_it() -> None:
    edited = steer(residual(2, 3), unit(seed=1), 2.0)
    assert (ablate(edited, unit()) - ablate(residual(2, 3), unit())).abs().max() > 0.1


@given(coefficient=st.floats(-100, 100))
def test_steering_moves_the_projection_by_its_coefficient(coefficient: float) -> None:
    moved = steer(residual(4), unit(), coefficient) @ unit() - residual(4) @ unit()
    torch.testing.assert_close(moved, torch.full((4,), coefficient), atol=1e-3, rtol=1e-4)


@EVERY_DTYPE
def test_a_zero_coefficient_is_the_identity_bit_for_bit(dtype: torch.dtype) -> None:
    before = residual(3, 4, dtype=dtype)
    assert torch.equal(steer(before, unit(), 0.0), before)
    assert not torch.equal(steer(before, unit(), 1.0), before)


@EVERY_DTYPE
def test_the_dtype_is_kept_and_the_input_is_not_modified(dtype: torch.dtype) -> None:
    before = residual(3, 4, dtype=dtype)
    kept = before.clone()
    for edited in (steer(before, unit(), 3.0), ablate(before, unit())):
        assert edited.dtype is dtype
        assert edited.data_ptr() != before.data_ptr()
    assert torch.equal(before, kept)


@EVERY_DTYPE
def test_an_edit_is_computed_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    narrow = residual(9, 4, dtype=dtype)
    s, c = torch.randn(9, 4), torch.randn(9, 4)
    wide = apply(narrow.float(), unit(), s, c)
    assert torch.equal(apply(narrow, unit(), s, c), wide.to(dtype))


def test_a_double_residual_keeps_its_precision() -> None:
    edited = steer(torch.zeros(1, D, dtype=torch.float64), unit().double(), 1 / 3)
    torch.testing.assert_close(edited[0], unit().double() / 3, atol=1e-15, rtol=0)


@EVERY_DTYPE
def test_untouched_rows_come_back_bit_for_bit(dtype: torch.dtype) -> None:
    before = residual(3, 4, dtype=dtype)
    s = torch.tensor([0.0, 5.0, 0.0])[:, None].expand(3, 4)
    c = torch.tensor([0.0, 0.0, -1.0])[:, None].expand(3, 4)
    after = apply(before, unit(), s, c)
    assert torch.equal(after[0].view(torch.uint8), before[0].view(torch.uint8))
    assert not torch.equal(after[1], before[1])
    assert not torch.equal(after[2], before[2])


def test_untouched_bits_survive_that_arithmetic_would_change() -> None:
    odd = torch.zeros(2, 1, D)
    odd[0], odd[0, 0, 0], odd[0, 0, 1] = -0.0, math.nan, math.inf
    after = apply(odd, unit(), torch.tensor([[0.0], [1.0]]), torch.zeros(2, 1))
    assert torch.equal(after[0].view(torch.int32), odd[0].view(torch.int32))
    assert after[1].isfinite().all()


def test_a_row_is_edited_the_same_alone_and_in_a_batch() -> None:
    rows = residual(5, 3)
    s, c = torch.randn(5, 3), torch.randn(5, 3)
    together = apply(rows, unit(), s, c)
    alone = [apply(rows[i : i + 1], unit(), s[i : i + 1], c[i : i + 1]) for i in range(5)]
    assert torch.equal(together, torch.cat(alone))


def test_apply_is_steer_and_ablate_with_other_numbers() -> None:
    rows = residual(2, 3)
    zero = full(0.0, rows)
    assert torch.equal(apply(rows, unit(), zero + 3.0, zero), steer(rows, unit(), 3.0))
    assert torch.equal(apply(rows, unit(), zero, zero - 1.0), ablate(rows, unit()))


@pytest.mark.parametrize("norm", [0.0, 0.998, 1.002, math.nan, math.inf])
def test_a_direction_that_is_not_unit_is_refused(norm: float) -> None:
    rows = residual(1, 1)
    for edit in (
        lambda v: steer(rows, v, 1.0),
        lambda v: ablate(rows, v),
        lambda v: apply(rows, v, full(1.0, rows), full(0.0, rows)),
    ):
        with pytest.raises(ValueError, match="`direction` has norm"):
            edit(norm * unit())


@pytest.mark.parametrize("norm", [0.9995, 1.0, 1.0005])
def test_rounding_does_not_make_a_direction_unfit(norm: float) -> None:
    check_unit_norm(norm * unit())
    check_unit_norm(unit().bfloat16())


def test_a_matrix_is_no_direction() -> None:
    with pytest.raises(ValueError, match=r"not of shape \(16, 1\)"):
        check_unit_norm(unit()[:, None])


@pytest.mark.parametrize("coefficient", [math.nan, math.inf])
def test_a_coefficient_that_is_not_finite_is_refused(coefficient: float) -> None:
    with pytest.raises(ValueError, match="the steering coefficient is"):
        steer(residual(1), unit(), coefficient)
    with pytest.raises(ValueError, match="the steering coefficient is"):
        coefficients([], coefficient=coefficient, phase=Phase.DECODE, tokens=torch.ones(0, 1))


def test_shapes_that_do_not_fit_are_refused() -> None:
    rows = residual(2, 3)
    with pytest.raises(ValueError, match="their last dimensions must agree"):
        rank_one(rows[..., 1:], unit(), full(0.0, rows), full(0.0, rows))
    with pytest.raises(ValueError, match=r"`scale` has shape \(2,\)"):
        rank_one(rows, unit(), full(0.0, rows), torch.zeros(2))
    with pytest.raises(ValueError, match=r"torch.int64; an edit needs a float"):
        ablate(torch.ones(2, D, dtype=torch.int64), unit())


ACTIONS = [Action.NONE, Action.STEER, Action.RELEASE]
LEFT_PADDED = torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]])


def test_prefill_steers_the_last_prompt_token_and_releases_all() -> None:
    s, c = coefficients(ACTIONS, coefficient=3.0, phase=Phase.PREFILL, tokens=LEFT_PADDED)
    assert s.tolist() == [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 0, 0]]
    assert c.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, -1, -1, -1]]


def test_the_last_prompt_token_is_found_before_pads_on_the_right() -> None:
    tokens = torch.tensor([[1, 1, 0, 0]])
    s, _ = coefficients([Action.STEER], coefficient=3.0, phase=Phase.PREFILL, tokens=tokens)
    assert s.tolist() == [[0, 3, 0, 0]]


def test_decode_edits_every_new_token() -> None:
    tokens = torch.ones(3, 2, dtype=torch.bool)
    s, c = coefficients(ACTIONS, coefficient=3.0, phase=Phase.DECODE, tokens=tokens)
    assert s.tolist() == [[0, 0], [3, 3], [0, 0]]
    assert c.tolist() == [[0, 0], [0, 0], [-1, -1]]


@pytest.mark.parametrize("phase", Phase)
def test_a_row_that_has_ended_is_not_edited(phase: Phase) -> None:
    ended = torch.zeros(3, 1)
    s, c = coefficients(ACTIONS, coefficient=3.0, phase=phase, tokens=ended)
    assert not s.any()
    assert not c.any()


def test_a_one_token_prompt_is_a_prompt() -> None:
    s, _ = coefficients(
        [Action.STEER], coefficient=3.0, phase=Phase.PREFILL, tokens=torch.ones(1, 1)
    )
    assert s.tolist() == [[3]]


def test_refuse_never_reaches_generation() -> None:
    with pytest.raises(ValueError, match="`refuse` is no intervention"):
        coefficients([Action.REFUSE], coefficient=1.0, phase=Phase.DECODE, tokens=torch.ones(1, 1))


def test_rows_and_actions_must_be_as_many() -> None:
    with pytest.raises(ValueError, match=r"`tokens` has shape \(3, 4\) for 1 actions"):
        coefficients([Action.NONE], coefficient=1.0, phase=Phase.PREFILL, tokens=LEFT_PADDED)


def test_a_mixed_batch_gives_each_row_its_own_verdict_and_leaves_pads_alone() -> None:
    rows = residual(3, 4, dtype=torch.bfloat16)
    s, c = coefficients(ACTIONS, coefficient=3.0, phase=Phase.PREFILL, tokens=LEFT_PADDED)
    after = apply(rows, unit(), s, c)
    assert torch.equal(after[0], rows[0])
    assert torch.equal(after[1, :3], rows[1, :3])
    assert torch.equal(after[1, 3], steer(rows[1, 3], unit(), 3.0))
    assert torch.equal(after[2, 0], rows[2, 0])
    assert torch.equal(after[2, 1:], ablate(rows[2, 1:], unit()))
