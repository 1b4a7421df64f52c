"""Choosing what is read: only languages that the fit has not seen have a say."""

from dataclasses import replace

import numpy as np
import pytest

from recal.choose import choose
from recal.collect import Activations
from recal.fit import Candidate, FitPlan
from services.readout.place import READINGS, Place
from tests.unit.recal.synthetic import activations, complementary
from tests.unit.recal.test_fit import PLAN

OPEN = replace(PLAN, rank=None)
SINGLE = replace(PLAN, rank=None, most_parts=1)
LANGUAGES = ("en", "de", "fr", "ar")


@pytest.mark.parametrize("good", [0, 1, 2])
def test_the_layer_that_carries_to_unseen_languages_is_chosen(good: int) -> None:
    choice = choose(activations(LANGUAGES, good_layer=good), replace(PLAN, most_parts=1))
    assert [member.place for member in choice.members] == [Place(good, "last")]
    assert len(choice.tried) == 3


def test_every_place_and_rank_is_tried_and_told() -> None:
    told: list[tuple[int, int]] = []
    choice = choose(complementary(LANGUAGES), OPEN, report=lambda d, t: told.append((d, t)))
    singles = [tried for tried in choice.tried if len(tried.members) == 1]
    assert len({tried.members for tried in singles}) == 3 * 3 * len(OPEN.ranks)
    assert told[-1] == (9, 9)
    assert all(0 <= tried.transfer <= 1 for tried in choice.tried)


def test_readings_that_see_different_things_are_read_together() -> None:
    choice = choose(complementary(LANGUAGES), OPEN)
    shares = {member.place: member.share for member in choice.members}
    two = shares[Place(1, "last")], shares[Place(2, "mean")]
    assert min(two) > 0.3
    assert sum(shares.values()) == pytest.approx(1.0)
    best_single = max(t.transfer for t in choice.tried if len(t.members) == 1)
    assert choice.chosen.transfer > best_single + 0.02


def test_equal_shares_of_the_three_readings_are_tried_beside_learned_ones() -> None:
    learned, equal = [t for t in choose(complementary(LANGUAGES), OPEN).tried if t.members[1:]]
    assert [member.share for member in equal.members] == pytest.approx([1 / 3] * 3)
    assert {member.place.reading for member in equal.members} == set(READINGS)
    assert learned.transfer > equal.transfer


def test_a_single_place_is_read_where_the_ensembles_fail_a_language() -> None:
    known = activations(LANGUAGES, n=60)
    assert isinstance(known.residuals, np.ndarray)
    rows = np.random.default_rng(1).normal(size=known.residuals.shape)
    for i, prompt in enumerate(known.prompts):
        rows[i, 1, 0] += 3.0 * prompt.harmful
        rows[i, 2, 0] += 6.0 * prompt.harmful * (-1 if prompt.language == "ar" else 1)
    choice = choose(replace(known, residuals=rows.astype(np.float32)), OPEN)
    assert [member.place for member in choice.members] == [Place(1, "last")]
    (ensemble,) = [tried for tried in choice.tried if tried.members[1:]]
    assert ensemble.transfer < choice.chosen.transfer - 0.01


def test_one_part_is_the_best_single_place() -> None:
    choice = choose(complementary(LANGUAGES), SINGLE)
    assert len(choice.members) == 1
    assert choice.chosen.transfer == max(tried.transfer for tried in choice.tried)


def seen_everywhere() -> Activations:
    """Every place sees the classes, each with noise of its own."""
    known = complementary(LANGUAGES)
    assert isinstance(known.residuals, np.ndarray)
    every = known.residuals.copy()
    for i, prompt in enumerate(known.prompts):
        every[i, :, :, 0] += 1.5 * prompt.harmful
    return replace(known, residuals=every)


def test_no_more_parts_are_read_than_the_plan_allows() -> None:
    for most in (2, 3):
        choice = choose(seen_everywhere(), replace(OPEN, most_parts=most))
        assert 1 < len(choice.members) <= most


def test_blocks_behind_the_allowed_depth_are_not_read() -> None:
    choice = choose(complementary(LANGUAGES), replace(OPEN, depth=0.5))
    assert max(m.place.layer for t in choice.tried for m in t.members) == 1


def test_of_equals_the_smaller_rank_and_then_the_earlier_layer_wins() -> None:
    known = activations(LANGUAGES)
    assert isinstance(known.residuals, np.ndarray)
    apart = known.residuals.copy()
    for i, prompt in enumerate(known.prompts):
        apart[i, :, 0] += 50.0 * prompt.harmful
    choice = choose(Activations(known.prompts, known.layers, apart), SINGLE)
    assert choice.members == (Candidate(Place(0, "last"), 1),)
    assert choice.chosen.transfer == 1.0


def test_what_is_given_is_not_searched_for() -> None:
    plan = replace(OPEN, layer=0, reading="mean", rank=2)
    choice = choose(complementary(LANGUAGES), plan)
    assert choice.members == (Candidate(Place(0, "mean"), 2),)
    assert len(choice.tried) == 1


def test_low_resource_languages_have_no_say() -> None:
    known = complementary((*LANGUAGES, "sw"))
    assert isinstance(known.residuals, np.ndarray)
    misleading = known.residuals.copy()
    for i, prompt in enumerate(known.prompts):
        if prompt.language == "sw":
            misleading[i, 0, 1, 0] += 99.0 * prompt.harmful
    with_sw = choose(replace(known, residuals=misleading), OPEN)
    assert with_sw.tried == choose(replace(known, residuals=known.residuals), OPEN).tried


def test_the_paper_reads_the_last_token_at_rank_ten() -> None:
    plan = FitPlan(("en", "de", "fr"), ("ar",), method="paper")
    choice = choose(complementary(LANGUAGES), plan)
    assert {member.place.reading for tried in choice.tried for member in tried.members} == {"last"}
    assert choice.members == (Candidate(Place(1, "last"), 3),)


def test_the_paper_reads_one_place_however_many_would_help() -> None:
    plan = FitPlan(("en", "de", "fr"), ("ar",), method="paper", depth=1.0)
    assert len(choose(seen_everywhere(), plan).members) == 1
    assert len(choose(seen_everywhere(), replace(plan, method="recal")).members) > 1


def test_a_development_language_without_a_class_is_named() -> None:
    known = activations(LANGUAGES)
    kept = [i for i, p in enumerate(known.prompts) if p.language != "ar" or p.harmful]
    assert isinstance(known.residuals, np.ndarray)
    half = Activations(
        tuple(known.prompts[i] for i in kept), known.layers, known.residuals[kept], ("last",)
    )
    with pytest.raises(ValueError, match="no harmless prompts of `ar`"):
        choose(half, PLAN)


def test_readings_of_the_serving_extractor_are_all_tried() -> None:
    choice = choose(complementary(LANGUAGES), OPEN)
    tried = {m.place.reading for t in choice.tried for m in t.members}
    assert tried == set(READINGS)
