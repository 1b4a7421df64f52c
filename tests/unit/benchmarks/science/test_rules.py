"""Rules decide by what they are given, and by nothing that is scored."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.science.prompt_sets import LOW
from benchmarks.science.reading import Reading
from benchmarks.science.rules import (
    BESIDE,
    RULES,
    WITHOUT_EXAMPLES,
    Case,
    j_of,
    names_of,
    oracle,
    paper_released,
    zero_shot,
)
from recal.maths.logistic import score
from tests.unit.benchmarks.science.synthetic_reading import N, reading


@pytest.fixture(scope="module")
def read() -> Reading:
    return reading()


def test_k_examples_of_each_class_are_drawn_anew_in_every_draw(read: Reading) -> None:
    scores = [Case(read, "yo", 4, number).scores for number in (0, 0, 1)]
    assert [len(scores[0].harmful), len(scores[0].harmless)] == [4, 4]
    assert (scores[0].harmful == scores[1].harmful).all()
    assert set(scores[0].harmful) != set(scores[2].harmful)


def test_scores_are_the_readouts_on_the_same_examples(read: Reading) -> None:
    case = Case(read, "yo", 4, 0)
    assert score(read.readout.folded, case.residuals.harmless) == pytest.approx(
        case.scores.harmless
    )


def test_english_scores_are_of_the_translations_in_order(read: Reading) -> None:
    everything = N["calibration"]
    case = Case(read, "yo", everything, 3)
    found = dict(zip(case.scores.harmful, case.english.harmful, strict=True))
    own = read.scores("calibration", "yo").harmful
    expected = [read.english_scores[f"calibration/True/{i}"] for i in range(everything)]
    assert [found[value] for value in own] == expected


def test_unlabelled_and_parallel_scores_pair_up(read: Reading) -> None:
    case = Case(read, "th", 1, 0)
    assert len(case.unlabelled) == len(case.parallel) == 2 * N["calibration"]
    harmless = N["calibration"]
    assert case.parallel[harmless] == read.english_scores["calibration/False/0"]


def test_other_languages_do_not_hold_the_language_itself(read: Reading) -> None:
    case = Case(read, "yo", 2, 0)
    assert set(case.others) == set(LOW) - {"yo"}
    assert (case.of("ko").scores.harmful == Case(read, "ko", 2, 0).scores.harmful).all()


def test_translations_are_held_against_the_means_of_all_english_ones(read: Reading) -> None:
    case = Case(read, "yo", 2, 0)
    given = BESIDE["sources"](case)
    assert given.mean_harmful == pytest.approx(case.all_english.harmful.mean())
    assert (given.harmful == case.english.harmful).all()
    # of residuals that have nothing to do with their translations
    assert abs(given.rho) < 0.6


def test_a_prior_is_of_the_other_languages_alone(read: Reading) -> None:
    case = Case(read, "yo", 4, 0)
    assert set(BESIDE["prior"](case).languages) == set(LOW) - {"yo"}


def test_the_midpoint_mends_the_shift_that_the_source_threshold_misses(read: Reading) -> None:
    scored = read.residuals("test", "yo")
    midpoint = [j_of(RULES["midpoint"](Case(read, "yo", 4, n)), scored) for n in range(10)]
    assert np.mean(midpoint) > j_of(zero_shot(Case(read, "yo", 1, 0)), scored) + 10


def test_no_frozen_rule_is_better_than_the_oracle(read: Reading) -> None:
    for language in LOW:
        scored = read.residuals("test", language)
        best = j_of(oracle(Case(read, language, 1, 0)), scored)
        for name in ("midpoint", "paper_f1"):
            assert j_of(RULES[name](Case(read, language, 4, 0)), scored) <= best


def test_the_released_refit_has_a_readout_of_its_own(read: Reading) -> None:
    decisions = [paper_released(Case(read, "yo", 4, number)) for number in (0, 0, 1)]
    weights = [decision.readout.weight for decision in decisions]
    assert (weights[0] == weights[1]).all()
    assert not np.allclose(weights[0], weights[2], rtol=1e-6)
    assert not np.allclose(weights[0], read.readout.folded.weight)
    assert j_of(decisions[0], read.residuals("test", "yo")) > 40


def test_few_shot_rules_never_look_at_scored_prompts(read: Reading) -> None:
    without = {split: found for split, found in read.activations.items() if split != "test"}
    blind = replace(read, activations=without)
    for rule in RULES.values():
        assert rule(Case(blind, "yo", 2, 0)).threshold == pytest.approx(
            rule(Case(read, "yo", 2, 0)).threshold
        )
    with pytest.raises(KeyError):
        WITHOUT_EXAMPLES["oracle"](Case(blind, "yo", 2, 0))


def test_an_unknown_rule_is_named() -> None:
    assert names_of(None) == tuple(RULES)
    with pytest.raises(ValueError, match="no rule guess"):
        names_of(["midpoint", "guess"])
