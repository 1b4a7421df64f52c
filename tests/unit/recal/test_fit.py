"""Fitting: directions, parts, and the readout that comes out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from recal.fit import (
    Candidate,
    FitPlan,
    by_language,
    direction_at,
    fit,
    fit_parts,
    fit_translations,
    histogram,
)
from recal.maths.metrics import auroc, balanced_accuracy
from recal.maths.paper import fit_paper
from recal.maths.source import pooled_within_sd
from recal.recalibrate import scores_of
from services.errors import ArtefactRefused
from services.readout.bundle import Bundle, Readout, Steering
from services.readout.place import Place
from services.readout.self_test import refuse_other_scores
from tests.unit.recal.synthetic import D_MODEL, IDENTITY, activations, complementary

PLAN = FitPlan(
    source_languages=("en", "de", "fr"), development_languages=("ar",), rank=3, depth=1.0
)


def steering() -> Steering:
    direction = torch.zeros(D_MODEL)
    direction[0] = 1.0
    return Steering(direction=direction, layer=1, coefficient=2.0, typical_norm=3.0)


def fitted(layer: int = 1) -> Readout:
    known = activations(("en", "de", "fr", "ar"))
    chosen = [Candidate(Place(layer, "last"), 3)]
    return fit(known, IDENTITY, chosen=chosen, steering=steering(), plan=PLAN, provenance={})


def test_the_direction_is_a_unit_vector_along_the_classes() -> None:
    found = direction_at(activations(("en", "de", "fr")), 1, PLAN)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0)
    assert found.direction[0] > 0.9
    assert found.statistics.gap > 4


def test_the_readout_separates_unseen_prompts_and_its_unit_is_one_within_class_sd() -> None:
    readout = fitted()
    scores = scores_of(readout, activations(("de",), seed=5), "de")
    assert balanced_accuracy(*scores, readout.source_threshold) > 0.97
    assert np.std(scores.harmless) == pytest.approx(1.0, abs=0.35)


def test_a_layer_without_signal_does_not_separate() -> None:
    readout = fitted(layer=0)
    scores = scores_of(readout, activations(("de",), seed=5), "de")
    assert balanced_accuracy(*scores, readout.source_threshold) < 0.8


def test_a_language_that_was_not_collected_is_named() -> None:
    with pytest.raises(ValueError, match="`it`"):
        by_language(activations(("en",)), 1, ("en", "it"))


def test_scores_beyond_the_edges_are_counted_in_the_outer_bins() -> None:
    counted = histogram(np.array([-100.0, 0.1, 100.0]), np.array([0.0]))
    assert sum(counted.harmful) == 3
    assert counted.harmful[0] == counted.harmful[-1] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"source_languages": ("en",)},
        {"rank": 0},
        {"most_parts": 0},
        {"depth": 0.0},
        {"depth": 1.1},
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_fitted_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least|at most"):
        FitPlan(**changes)  # type: ignore[arg-type]


BOTH = [Candidate(Place(1, "last"), 3), Candidate(Place(2, "mean"), 2)]


def together(chosen: Sequence[Candidate] = BOTH, plan: FitPlan = PLAN) -> Readout:
    return fit(
        complementary(("en", "de", "fr")),
        IDENTITY,
        chosen=chosen,
        steering=steering(),
        plan=plan,
        provenance={},
    )


def test_an_ensemble_is_in_standard_deviations_of_its_own_score() -> None:
    known = complementary(("en", "de", "fr"))
    readout = together()
    assert readout.source_statistics["sd_within"] == pytest.approx(1.0)
    scores = {la: scores_of(readout, known, la) for la in ("en", "de", "fr")}
    assert pooled_within_sd(scores) == pytest.approx(1.0, abs=1e-5)


def test_the_parts_of_an_ensemble_are_the_readouts_of_their_places() -> None:
    readout = together()
    for part, candidate in zip(readout.parts, BOTH, strict=True):
        (alone,) = together([candidate]).parts
        assert part.place == candidate.place
        assert torch.equal(part.linear.weight, alone.linear.weight)
        assert (alone.share, alone.rank) == (1.0, candidate.rank)
    assert readout.parts[0].share == readout.parts[1].share > 0.5


def test_shares_keep_their_proportion_whatever_their_unit() -> None:
    one, other = (
        together(
            [candidate._replace(share=k * w) for candidate, w in zip(BOTH, (3, 1), strict=True)]
        )
        for k in (1.0, 0.01)
    )
    shares = [part.share for part in one.parts]
    assert shares[0] == pytest.approx(3 * shares[1])
    assert [part.share for part in other.parts] == pytest.approx(shares)
    assert one.source_statistics["sd_within"] == pytest.approx(1.0)


def test_an_ensemble_of_readings_with_noise_of_their_own_separates_better() -> None:
    unseen = complementary(("ar",), seed=7)
    areas = [auroc(*scores_of(together(chosen), unseen, "ar")) for chosen in (BOTH, BOTH[:1])]
    assert areas[0] > areas[1] + 0.02


def test_scores_before_and_after_being_put_together_are_the_same() -> None:
    known = complementary(("en", "de", "fr"))
    before = fit_parts(known, BOTH, PLAN).scores(known, "de")
    after = scores_of(together(), known, "de")
    np.testing.assert_allclose(before.harmful, after.harmful, atol=1e-5)


def test_the_method_of_the_paper_gives_its_own_probe_and_threshold() -> None:
    known = activations(("en", "de", "fr"))
    readout = fit(
        known,
        IDENTITY,
        chosen=[Candidate(Place(0, "last"), 3)],
        steering=steering(),
        plan=replace(PLAN, method="paper", seed=5),
        provenance={},
    )
    rows = by_language(known, 0, ("en", "de", "fr"))
    gate = fit_paper(rows, np.random.default_rng(5), rank=3)
    scale = gate.source.sd_within
    weight = readout.parts[0].linear.weight.numpy()
    np.testing.assert_allclose(weight, gate.folded.weight / scale, rtol=1e-5)
    assert readout.source_threshold == pytest.approx(gate.threshold / scale, abs=1e-5)
    assert readout.provenance["method"] == "paper"
    ours = fitted(layer=0)
    assert not np.allclose(weight, ours.parts[0].linear.weight.numpy())
    assert ours.source_threshold != pytest.approx(readout.source_threshold, abs=1e-2)


def test_nothing_chosen_is_no_readout() -> None:
    with pytest.raises(ValueError, match="no place was chosen"):
        together([])


@pytest.mark.parametrize(
    ("plan", "ranks"),
    [
        (FitPlan(), (1, 2, 4, 8, 10)),
        (FitPlan(("en", "de", "fr")), (1, 2, 3)),
        (FitPlan(rank=7), (7,)),
        (FitPlan(method="paper"), (10,)),
        (FitPlan(("en", "de"), method="paper"), (2,)),
    ],
)
def test_no_rank_above_the_number_of_source_languages_is_tried(
    plan: FitPlan, ranks: tuple[int, ...]
) -> None:
    assert plan.ranks == ranks


def test_a_plan_names_the_places_to_try() -> None:
    known = complementary(("en", "de"))
    assert len(list(FitPlan(depth=1.0).places(known))) == 9
    assert {place.layer for place in FitPlan().places(known)} == {0, 1}
    assert list(FitPlan(layer=2, reading="mean").places(known)) == [Place(2, "mean")]
    assert {p.reading for p in FitPlan(method="paper").places(known)} == {"last"}


PLACES = [candidate.place for candidate in BOTH]


def test_translations_make_a_readout_of_their_language_alone() -> None:
    translated, unseen = (complementary(("sw",), n=150, seed=seed) for seed in (1, 2))
    found = fit_translations(translated, "sw", PLACES)
    assert auroc(*found.scores(unseen, "sw")) > 0.95
    alone = fit_translations(translated, "sw", PLACES[:1])
    assert auroc(*alone.scores(unseen, "sw")) < auroc(*found.scores(unseen, "sw")) - 0.02
    assert found.source.sd_within == pytest.approx(1.0)


def test_translations_of_another_language_are_not_fitted_on() -> None:
    with pytest.raises(ValueError, match="no harmful prompts of `yo`"):
        fit_translations(complementary(("sw",)), "yo", PLACES)
    with pytest.raises(ValueError, match="no place was given"):
        fit_translations(complementary(("sw",)), "sw", [])


def test_a_readout_keeps_class_means_with_their_scores_and_no_prompt() -> None:
    known = complementary(("en", "de", "fr"))
    readout = together()
    references = readout.references
    assert references is not None
    assert references.residuals.shape == (2 * len(PLAN.source_languages), len(BOTH), D_MODEL)
    scores = {language: scores_of(readout, known, language) for language in PLAN.source_languages}
    means = [float(each.mean()) for pair in scores.values() for each in pair]
    assert references.scores == pytest.approx(means, abs=1e-4)
    prompts = known.at(1, language="en", harmful=True)
    nearest = np.abs(prompts - references.residuals[0, 0].numpy()).max(axis=1).min()
    assert nearest > 0.01


def test_a_fitted_readout_passes_its_own_test_and_another_does_not() -> None:
    readout = replace(fitted(), digest="d" * 64, version="readout@1")
    refuse_other_scores(Bundle(readout, {}))
    other = replace(fitted(layer=0), references=readout.references)
    with pytest.raises(ArtefactRefused, match="scores its reference activation"):
        refuse_other_scores(Bundle(other, {}))
