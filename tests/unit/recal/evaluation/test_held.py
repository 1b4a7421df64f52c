"""Held-out prompts by language, and draws of examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recal.evaluation.arm import Arm
from recal.evaluation.held import Deck, held_out, rows_of, source_numbers
from tests.unit.recal.evaluation.stage import LANGUAGES, asked, methods, pool, readout

PARTS = held_out(asked(), LANGUAGES)


def test_prompts_and_scores_pair_up_however_the_prompts_were_ordered() -> None:
    shuffled = rows_of(asked(), np.random.default_rng(0).permutation(len(asked().prompts)))
    (part,) = held_out(shuffled, ("sw",))
    assert [p.harmful for p in part.prompts] == [True] * 20 + [False] * 20
    scores = np.concatenate(part.scores(readout()))
    residuals = np.stack([part.activations.at(place.layer) for place in readout().places], axis=1)
    expected = readout().score(torch.tensor(residuals, dtype=torch.float32)).numpy()
    assert scores == pytest.approx(expected, abs=1e-5)


def test_a_score_that_is_not_finite_is_an_error() -> None:
    residuals = asked().residuals.copy()
    residuals[-40] = np.nan
    (part,) = held_out(replace(asked(), residuals=residuals), ("en",))
    with pytest.raises(ValueError, match="harmful scores of `en`.*non-finite"):
        part.scores(readout())


def test_every_method_gets_the_same_examples_in_the_same_draw() -> None:
    one, other = (Deck(pool(), LANGUAGES).deal(4, 2) for _ in range(2))
    assert one.activations.prompts == other.activations.prompts
    assert np.array_equal(one.activations.residuals, other.activations.residuals)


def test_draws_differ_and_more_examples_keep_the_fewer() -> None:
    deck = Deck(pool(), LANGUAGES)
    first, second, more = deck.deal(1, 1), deck.deal(1, 2), deck.deal(4, 1)
    assert first.activations.prompts != second.activations.prompts
    assert set(first.activations.prompts) < set(more.activations.prompts)


def test_examples_are_rows_of_the_pool_with_their_own_residuals() -> None:
    found = Deck(pool(), ("yo", "sw")).deal(2, 1).activations
    assert {p.language for p in found.prompts} == {"sw", "yo"}
    assert len(found.prompts) == 2 * 2 * 2
    place = {p: i for i, p in enumerate(pool().prompts)}
    for prompt, row in zip(found.prompts, found.residuals, strict=True):
        assert np.array_equal(row, pool().residuals[place[prompt]])


def test_a_source_language_is_given_no_examples() -> None:
    deck, arm = Deck(pool(), LANGUAGES), Arm(methods(("recal",))[1], 4)
    assert deck.examples(arm, "en", 1) is None
    assert deck.examples(arm, "sw", 1) is not None


def test_more_examples_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="13 prompts wanted"):
        Deck(pool(), LANGUAGES).deal(13, 1)


def test_translations_of_one_prompt_have_one_number_in_every_language() -> None:
    numbers = source_numbers(PARTS, harmful=True)
    assert all(np.array_equal(numbers[la], np.arange(20)) for la in LANGUAGES)
    alone = rows_of(asked(), [i for i, p in enumerate(asked().prompts) if not p.id.endswith("/0")])
    fewer = source_numbers([PARTS[0], *held_out(alone, ("yo",))], harmful=True)
    assert np.array_equal(fewer["yo"], np.arange(1, 20))


def test_a_language_that_is_none_of_the_23_has_a_tier_of_its_own() -> None:
    assert [part.tier for part in PARTS] == ["low", "low", "mid", "high"]
    assert replace(PARTS[0], language="ha").tier == "other"
