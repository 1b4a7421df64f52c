"""Published baselines by name: fitted on what they are given, then asked like any method."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recal.baselines.fitting import Fitting
from recal.baselines.suffixes import ENGLISH
from recal.collect import Activations, collect
from recal.evaluation.catalogue import Material, are_fitted, methods_of
from recal.evaluation.held import held_out
from recal.evaluation.published import PUBLISHED
from recal.method import Method
from recal.prompts import Prompt, Split
from services.backbone.load import Backbone
from services.generation.treatment import Treatment
from services.readout.bundle import Scope
from tests.unit.recal.evaluation.stage import pool, readout
from tests.unit.recal.treated import LiteralJudge, Says

SUBJECTS = ("bread", "a bomb", "the sea", "poison", "a song", "a lock")


def collected(backbone: Backbone, languages: tuple[str, ...], split: Split) -> Activations:
    prompts = [
        Prompt(
            f"{split}/{i}", language, i % 2 == 1, f"how do I make {subject} in {language}", split
        )
        for language in languages
        for i, subject in enumerate(SUBJECTS)
    ]
    return collect(backbone, prompts)


@pytest.fixture(scope="module")
def fitting(backbones: dict[str, Backbone]) -> Fitting:
    qwen2 = backbones["qwen2"]

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        return "refuse" if any(m.push.shift > 0.1 for m in treatment.moves) else "comply"

    return Fitting(
        backbone=qwen2,
        anchors=collected(qwen2, ("en", "de", "ar"), "train"),
        validation=collected(qwen2, ("en", "de"), "validation").prompts,
        sources=("en", "de"),
        development=("ar",),
        suffixes=ENGLISH,
        model=Says(answer),
        judge=LiteralJudge(),
    )


def made(name: str, fitting: Fitting | None) -> Method:
    return methods_of((name,), Material(readout(), pool(), {}, fitting))[-1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_baseline_carries_its_name_and_treats_every_prompt_of_a_new_language(
    name: str, fitting: Fitting
) -> None:
    method = made(name, fitting)
    (part,) = held_out(collected(fitting.backbone, ("sw",), "test"), ("sw",))
    assert method.name == name
    assert not method.needs_examples("sw")
    assert not method.sees_labels
    assert len(method.treat(part.questions(method), None)) == len(SUBJECTS)


def test_the_two_variants_of_adasteer_act_on_other_tokens(fitting: Fitting) -> None:
    (part,) = held_out(collected(fitting.backbone, ("sw",), "test"), ("sw",))
    scopes = []
    for name in ("adasteer", "adasteer_decode"):
        method = made(name, fitting)
        treated = method.treat(part.questions(method), None)
        scopes.append({move.scope for each in treated for move in each.moves})
    assert scopes == [{Scope.PROMPT}, {Scope.DECODE}]


@pytest.mark.parametrize("name", PUBLISHED)
def test_how_many_texts_a_fit_takes_is_said_before_it_ends(name: str, fitting: Fitting) -> None:
    told: list[tuple[str, int, int]] = []
    made(name, replace(fitting, told=lambda *step: told.append(step)))
    totals = {total for _, _, total in told}
    assert {step for step, _, _ in told} == {f"{name}: texts"}
    assert (told[-1][1], totals) == (told[-1][2], {told[-1][2]})


def test_what_is_fitted_says_so_and_needs_what_it_is_fitted_on() -> None:
    assert all(are_fitted((name,)) for name in PUBLISHED)
    assert not are_fitted(("untouched", "recal", "oracle", "gate_addition", "midpoint"))
    with pytest.raises(ValueError, match="`cast` is fitted on training prompts"):
        made("cast", None)


def test_adasteer_without_a_language_to_choose_blocks_on_is_refused(fitting: Fitting) -> None:
    with pytest.raises(ValueError, match="`adasteer_decode` chooses its blocks on languages"):
        made("adasteer_decode", replace(fitting, development=()))
