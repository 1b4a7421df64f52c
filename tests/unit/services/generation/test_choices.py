"""By its code a prompt gets what its treatment does, and no other token is moved."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from services.domain import Action
from services.generation.choices import N_CODES, Choices, untouched_but
from services.generation.intervention import Phase, Span, ablation, add, down_to
from services.generation.moving import packed_edits
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope
from services.readout.place import Place
from tests.unit.services.generation.rows import WIDTH, axis

CPU = torch.device("cpu")
READ = (Place(0, "last"), Place(1, "mean"))


def at(layer: int, scope: Scope = Scope.ALL) -> Treatment:
    return Treatment(Action.STEER, own=(Move(layer, axis(0), add(1.0), scope),))


def choices_with(treatment: Treatment) -> Choices:
    return Choices(untouched_but(steer=treatment), READ, CPU)


@st.composite
def treatments(draw: st.DrawFn) -> Treatment:
    moves = [
        Move(
            draw(st.integers(1, 3)),
            axis(draw(st.integers(0, 1))),
            draw(st.sampled_from([add(2.0), add(-1.0), ablation(), down_to(0.5)])),
            draw(st.sampled_from(Scope)),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return Treatment(Action.STEER, own=tuple(moves)) if moves else UNTOUCHED


@given(
    st.lists(treatments(), min_size=N_CODES, max_size=N_CODES),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, N_CODES - 1)),
        min_size=1,
        max_size=4,
    ),
)
def test_a_code_does_what_its_treatment_does(
    by_code: list[Treatment], rows: list[tuple[int, int, int]]
) -> None:
    """Rows are (tokens of others before it, tokens of its prompt, code)."""
    prompts, spans, decided, end = [], [], [], 0
    for gap, n_tokens, code in rows:
        prompts.append(range(end + gap, end + gap + n_tokens))
        spans += [Span(gap, Phase.PREFILL), Span(n_tokens, Phase.PREFILL)]
        decided += [UNTOUCHED, by_code[code]]
        end += gap + n_tokens
    residual = torch.randn(1, end, WIDTH, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([code for *_, code in rows])
    found = Choices(by_code, READ, CPU).edits(prompts, lambda: codes)
    wanted = packed_edits(decided, spans, CPU)
    assert wanted.keys() <= found.keys()
    for layer, edit in found.items():
        after = edit(residual)
        assert torch.equal(after, wanted[layer](residual) if layer in wanted else residual)


def test_what_acts_before_the_codes_are_known_is_no_edit_and_runs_again() -> None:
    assert choices_with(at(0)).edits([range(3)], codes_that_nobody_asks_for) == {}
    steer = Action.STEER.strictness
    assert choices_with(at(0)).n_settled(steer, 5) == 0
    assert choices_with(at(0, Scope.LAST)).n_settled(steer, 5) == 4
    assert choices_with(at(1)).n_settled(steer, 5) == 5
    assert choices_with(at(0)).n_settled(Action.NONE.strictness, 5) == 5


def test_where_only_last_tokens_are_moved_no_other_is_brought_to_the_device() -> None:
    choices = choices_with(at(2, Scope.LAST))
    edit = choices.edits([range(0, 300), range(300, 900)], lambda: torch.tensor([0, 0]))[2]
    assert len(edit.keywords["tokens"].which) == 2


def test_as_many_treatments_are_asked_for_as_there_are_codes() -> None:
    with pytest.raises(ValueError, match=f"1 treatments; give one for each of {N_CODES} codes"):
        Choices([UNTOUCHED], READ, CPU)


def codes_that_nobody_asks_for() -> torch.Tensor:
    raise AssertionError("nothing acts where the codes are known")
