"""A source language releases no harmful prompt that the model would have refused by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from recal.prompts import Prompt
from recal.source_release import source_release
from services.domain import Action

SCORES = np.arange(160.0)
PROMPTS = [Prompt(f"{i}", "de", True, f"prompt {i}", "validation") for i in range(160)]


class Model:
    """Refuses, untouched, some prompts by their ids, and released, some others."""

    def __init__(self, untouched: Sequence[int], released: Sequence[int] = ()) -> None:
        self._refused = {Action.NONE: set(untouched), Action.RELEASE: set(released)}
        self.asked: dict[Action, list[int]] = {}

    def __call__(self, prompts: Sequence[Prompt], action: Action) -> list[bool]:
        ids = [int(p.id) for p in prompts]
        self.asked.setdefault(action, []).extend(ids)
        return [i in self._refused[action] for i in ids]


def test_it_falls_below_the_lowest_prompt_that_loses_its_refusal() -> None:
    found = source_release(9.5, PROMPTS, SCORES, Model(untouched=(4, 6, 30), released=(4,)))
    assert found.threshold is not None
    assert 5.0 < found.threshold < 6.0
    assert "1 of 160 would have, and the threshold fell from 9.5" in found.said
    assert "as observed" in found.said


def test_what_the_model_answers_anyway_or_refuses_still_holds_nothing_up() -> None:
    found = source_release(9.5, PROMPTS, SCORES, Model(untouched=(4, 6), released=(4, 6)))
    assert found.threshold == 9.5
    assert "0 of 160 would have, and nothing changed" in found.said


def test_only_prompts_that_would_be_released_are_asked_and_released_if_refused() -> None:
    model = Model(untouched=(2, 8, 40))
    source_release(9.0, PROMPTS, SCORES, model)
    assert model.asked == {Action.NONE: list(range(10)), Action.RELEASE: [2, 8]}


def test_nobody_is_asked_where_nothing_would_be_released() -> None:
    model = Model(untouched=range(160))
    assert source_release(-1.0, PROMPTS, SCORES, model).threshold == -1.0
    assert model.asked == {}


def test_without_a_model_every_released_prompt_counts_as_lost() -> None:
    found = source_release(9.5, PROMPTS, SCORES, None)
    assert found.threshold is not None
    assert found.threshold < 0.0
    assert "taken for refused before and answered after" in found.said


def test_too_few_prompts_never_release_and_say_how_many_would_do() -> None:
    model = Model(untouched=())
    found = source_release(9.5, PROMPTS[:148], SCORES[:148], model)
    assert found.threshold is None
    assert found.said == (
        "never releases: 148 harmful prompts cannot show that at most 2% lose a refusal by it, "
        "149 can"
    )
    assert model.asked == {}
    assert source_release(9.5, PROMPTS[:149], SCORES[:149], model).threshold == pytest.approx(9.5)
