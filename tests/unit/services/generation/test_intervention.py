from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from services.generation.intervention import (
    Coefficients,
    Phase,
    Push,
    Span,
    ablate,
    ablation,
    add,
    apply,
    check_push,
    check_unit_norm,
    down_to,
    push_everywhere,
    rank_one,
    steer,
    to_target,
)
from services.readout.bundle import Scope

D = 16
ANY_TIME = settings(deadline=None)
EVERY_DTYPE = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
EVERY_FORM = pytest.mark.parametrize(
    "push", [add(3.0), to_target(2.0, 0.7), ablation(), down_to(-1.0)]
)


def residual(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (5 * torch.randn(*shape, D, generator=generator)).to(dtype)


def unit(seed: int = 9) -> Tensor:
    vector = torch.randn(D, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def full(value: float, like: Tensor) -> Tensor:
    return torch.full(like.shape[:-1], value)


def affine(like: Tensor, shift: Tensor | float, scale: Tensor | float) -> Coefficients:
    """Coefficients without bounds."""
    zero = full(0.0, like)
    return Coefficients(zero + shift, zero + scale, zero - math.inf, zero + math.inf)


def projections(rows: Tensor) -> Tensor:
    return rows @ unit()


def test_ablation_leaves_no_component_along_the_direction() -> None:
    edited = ablate(residual(3, 4), unit())
    torch.testing.assert_close(projections(edited), torch.zeros(3, 4), atol=1e-5, rtol=0)
    assert projections(residual(3, 4)).abs().max() > 1


def test_ablation_is_idempotent_and_steering_is_not() -> None:
    once = ablate(residual(3, 4), unit())
    torch.testing.assert_close(ablate(once, unit()), once, atol=1e-5, rtol=0)
    steered = steer(residual(3, 4), unit(), 2.0)
    assert (steer(steered, unit(), 2.0) - steered).abs().max() > 0.1


@ANY_TIME
@given(target=st.floats(-8, 8), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_steering_to_a_target_never_goes_beyond_it(target: float, share: float, seed: int) -> None:
    before = projections(residual(6, seed=seed))
    after = projections(push_everywhere(residual(6, seed=seed), unit(), to_target(target, share)))
    assert (after <= torch.clamp(before, min=target) + 1e-4).all()
    assert (after >= before - 1e-4).all()


def test_adding_and_a_share_above_one_do_go_beyond_the_target() -> None:
    low = residual(50)[projections(residual(50)) < 0]
    for push in (add(50.0), to_target(2.0, 1.5)):
        assert (projections(push_everywhere(low, unit(), push)) > 2.1).all()


@ANY_TIME
@given(target=st.floats(-4, 4), share=st.floats(0.1, 3))
def test_what_lies_above_the_target_is_left_alone_bit_for_bit(target: float, share: float) -> None:
    rows = residual(80)
    rows[:, unit().argmax()] = -0.0  # adding a zero would change its sign
    above = projections(rows) > target + 1e-3
    after = push_everywhere(rows, unit(), to_target(target, share))
    assert torch.equal(after[above].view(torch.int32), rows[above].view(torch.int32))
    assert not torch.equal(after[~above], rows[~above])


def test_the_share_is_how_much_of_the_way_is_gone() -> None:
    rows = residual(40)[projections(residual(40)) < 2]
    half = projections(push_everywhere(rows, unit(), to_target(2.0, 0.5)))
    torch.testing.assert_close(half, (projections(rows) + 2.0) / 2, atol=1e-5, rtol=0)


@ANY_TIME
@given(centre=st.floats(-4, 4))
def test_affine_ablation_brings_down_to_the_centre_and_no_further(centre: float) -> None:
    rows = residual(80)
    # within float32's rounding of the centre a row may go either way
    above, below = projections(rows) > centre + 1e-3, projections(rows) < centre - 1e-3
    after = push_everywhere(rows, unit(), down_to(centre))
    torch.testing.assert_close(
        projections(after[above]), torch.full((int(above.sum()),), centre), atol=1e-4, rtol=0
    )
    assert torch.equal(after[below], rows[below])


def test_zero_ablation_does_change_what_lies_below_the_centre() -> None:
    rows = residual(80)
    below = projections(rows) < -1.0
    assert not torch.equal(ablate(rows, unit())[below], rows[below])


@ANY_TIME
@given(s=st.floats(-20, 20), c=st.floats(-3, 3), low=st.floats(-9, 0), seed=st.integers(0, 99))
def test_no_push_touches_the_orthogonal_complement(
    s: float, c: float, low: float, seed: int
) -> None:
    before = residual(2, 3, seed=seed)
    after = push_everywhere(before, unit(), Push(s, c, low))
    torch.testing.assert_close(ablate(after, unit()), ablate(before, unit()), atol=1e-4, rtol=0)


def test_another_direction_does_touch_it() -> None:
    edited = steer(residual(2, 3), unit(seed=1), 2.0)
    assert (ablate(edited, unit()) - ablate(residual(2, 3), unit())).abs().max() > 0.1


@ANY_TIME
@given(coefficient=st.floats(-100, 100))
def test_adding_moves_the_projection_by_its_coefficient(coefficient: float) -> None:
    moved = projections(steer(residual(4), unit(), coefficient)) - projections(residual(4))
    torch.testing.assert_close(moved, torch.full((4,), coefficient), atol=1e-3, rtol=1e-4)


@EVERY_DTYPE
def test_a_zero_coefficient_is_the_identity_bit_for_bit(dtype: torch.dtype) -> None:
    before = residual(3, 4, dtype=dtype)
    for nothing in (add(0.0), to_target(7.0, 0.0), Push()):
        assert torch.equal(push_everywhere(before, unit(), nothing), before)
    for something in (add(1.0), to_target(7.0, 0.5)):
        assert not torch.equal(push_everywhere(before, unit(), something), before)


@EVERY_DTYPE
@EVERY_FORM
def test_the_dtype_is_kept_and_the_input_is_not_modified(dtype: torch.dtype, push: Push) -> None:
    before = residual(3, 4, dtype=dtype)
    kept = before.clone()
    edited = push_everywhere(before, unit(), push)
    assert edited.dtype is dtype
    assert edited.data_ptr() != before.data_ptr()
    assert torch.equal(before, kept)


@EVERY_DTYPE
def test_an_edit_is_computed_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    narrow = residual(9, 4, dtype=dtype)
    numbers = affine(narrow, torch.randn(9, 4), torch.randn(9, 4))
    wide = apply(narrow.float(), unit(), numbers)
    assert torch.equal(apply(narrow, unit(), numbers), wide.to(dtype))


def test_a_double_residual_keeps_its_precision() -> None:
    edited = steer(torch.zeros(1, D, dtype=torch.float64), unit().double(), 1 / 3)
    torch.testing.assert_close(edited[0], unit().double() / 3, atol=1e-15, rtol=0)


@EVERY_DTYPE
def test_untouched_rows_come_back_bit_for_bit(dtype: torch.dtype) -> None:
    before = residual(3, 4, dtype=dtype)
    shift = torch.tensor([[0.0], [5.0], [0.0]])
    scale = torch.tensor([[0.0], [0.0], [-1.0]])
    after = apply(before, unit(), affine(before, shift, scale))
    assert torch.equal(after[0].view(torch.uint8), before[0].view(torch.uint8))
    assert not torch.equal(after[1], before[1])
    assert not torch.equal(after[2], before[2])


def test_untouched_bits_survive_that_arithmetic_would_change() -> None:
    odd = torch.zeros(2, 1, D)
    odd[0], odd[0, 0, 0], odd[0, 0, 1] = -0.0, math.nan, math.inf
    after = apply(odd, unit(), affine(odd, torch.tensor([[0.0], [1.0]]), 0.0))
    assert torch.equal(after[0].view(torch.int32), odd[0].view(torch.int32))
    assert after[1].isfinite().all()


@EVERY_FORM
def test_a_residual_that_is_not_finite_stays_so_where_it_is_edited(push: Push) -> None:
    broken = residual(1)
    broken[0, 3] = math.nan
    assert push_everywhere(broken, unit(), push).isnan().any()


@EVERY_FORM
def test_a_token_whose_projection_is_no_number_is_left_as_it_is(push: Push) -> None:
    broken = residual(2)
    broken[0, 0], broken[0, 1] = math.inf, -math.inf
    after = push_everywhere(broken, unit(), push)
    assert torch.equal(after[0], broken[0])


def test_a_row_is_edited_the_same_alone_and_in_a_batch() -> None:
    rows = residual(5, 3)
    directions = torch.stack([unit(seed) for seed in range(5)])
    numbers = affine(rows, torch.randn(5, 3), torch.randn(5, 3))
    together = apply(rows, directions, numbers)
    alone = [
        apply(rows[i : i + 1], directions[i], Coefficients(*(n[i : i + 1] for n in numbers)))
        for i in range(5)
    ]
    assert torch.equal(together, torch.cat(alone))


def test_each_row_moves_along_its_own_direction() -> None:
    rows = residual(2, 3)
    after = apply(rows, torch.stack([unit(1), unit(2)]), affine(rows, 0.0, -1.0))
    assert (after[0] @ unit(1)).abs().max() < 1e-5 < (after[1] @ unit(1)).abs().max()
    assert (after[1] @ unit(2)).abs().max() < 1e-5


@pytest.mark.parametrize("norm", [0.0, 0.998, 1.002, math.nan, math.inf])
def test_a_direction_that_is_not_unit_is_refused(norm: float) -> None:
    rows = residual(2, 1)
    one_bad = torch.stack([unit(), norm * unit()])
    for edit in (
        lambda: steer(rows, norm * unit(), 1.0),
        lambda: ablate(rows, norm * unit()),
        lambda: apply(rows, one_bad, affine(rows, 1.0, 0.0)),
    ):
        with pytest.raises(ValueError, match="`direction` has norm"):
            edit()


@pytest.mark.parametrize("norm", [0.9995, 1.0, 1.0005])
def test_rounding_does_not_make_a_direction_unfit(norm: float) -> None:
    check_unit_norm(norm * unit())
    check_unit_norm(unit().bfloat16())


def test_a_matrix_is_no_direction() -> None:
    with pytest.raises(ValueError, match=r"not of shape \(16, 1\)"):
        check_unit_norm(unit()[:, None])


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_coefficient_that_is_not_finite_is_refused(number: float) -> None:
    for push in (add(number), to_target(number, 1.0), to_target(1.0, number), down_to(number)):
        with pytest.raises(ValueError, match="it must be finite"):
            push_everywhere(residual(1), unit(), push)


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (math.nan, 0.0)])
def test_bounds_that_leave_no_room_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="has no room"):
        check_push(Push(1.0, 0.0, *bounds))
    check_push(Push(1.0, 0.0, -1.0, -1.0))


def test_shapes_that_do_not_fit_are_refused() -> None:
    rows = residual(2, 3)
    numbers = affine(rows, 0.0, 0.0)
    with pytest.raises(ValueError, match="their last dimensions must agree"):
        rank_one(rows[..., 1:], unit(), numbers)
    with pytest.raises(ValueError, match="one for all rows or one for each"):
        rank_one(rows, unit().expand(3, D), numbers)
    with pytest.raises(ValueError, match=r"`scale` has shape \(2, 1\)"):
        rank_one(rows, unit(), numbers._replace(scale=torch.zeros(2, 1)))
    with pytest.raises(ValueError, match=r"`low` has shape \(1, 3\)"):
        rank_one(rows, unit(), numbers._replace(low=torch.zeros(1, 3)))
    with pytest.raises(ValueError, match=r"torch.int64; an edit needs a float"):
        ablate(torch.ones(2, D, dtype=torch.int64), unit())


EDITED = {
    Scope.PROMPT: ([1, 1, 1], [0, 0]),
    Scope.LAST: ([0, 0, 1], [0, 0]),
    Scope.LAST_THEN_DECODE: ([0, 0, 1], [1, 1]),
    Scope.DECODE: ([0, 0, 0], [1, 1]),
    Scope.ALL: ([1, 1, 1], [1, 1]),
}
"""Of three prompt tokens and of two new ones."""


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_edits_its_own_tokens(scope: Scope) -> None:
    prompt, new = EDITED[scope]
    assert list(Span(3, Phase.PREFILL).inside(scope)) == [i for i in range(3) if prompt[i]]
    assert list(Span(2, Phase.DECODE).inside(scope)) == [i for i in range(2) if new[i]]


@pytest.mark.parametrize("scope", Scope)
def test_a_prompt_that_goes_on_has_not_its_last_token_yet(scope: Scope) -> None:
    everywhere = range(3) if scope.prompt == "all" else range(0)
    assert list(Span(3, Phase.PREFILL, ends=False).inside(scope)) == list(everywhere)


def test_a_one_token_prompt_is_a_prompt() -> None:
    assert list(Span(1, Phase.PREFILL).inside(Scope.LAST)) == [0]
