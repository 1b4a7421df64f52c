"""Own readouts as methods: the same examples as everybody, and a score of the language's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recal.collect import Activations
from recal.direction_readout import DIRECTION, direction_of, fit_direction
from recal.evaluation.arm import Arm
from recal.evaluation.catalogue import Material, methods_of
from recal.evaluation.gates import Saved
from recal.evaluation.gating import gate_of
from recal.evaluation.held import Deck, HeldOut, held_out
from recal.evaluation.judging import Judging
from recal.evaluation.own_gate import N_TRANSLATIONS, OwnGate, translations_of
from recal.evaluation.pictures.histogram import histogram
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import Gate
from recal.evaluation.run import Evaluated, evaluate
from recal.evaluation.tally import Context
from recal.fit import Candidate
from recal.method import Method, Thresholded
from recal.own_readout import fit_own
from recal.prompts import Prompt, Split
from recal.recalibrate import calibrate_source, recalibrate
from services.domain import Action
from services.readout.bundle import Readout
from tests.unit.recal.evaluation.stage import Writer, joined
from tests.unit.recal.test_fit import PLAN
from tests.unit.recal.test_own_readout import PLACES, SOURCES, readout, turned
from tests.unit.recal.treated import LiteralJudge

__all__ = ["readout"]  # the fixture

LANGUAGES = ("sw", "yo", "en")
BLIND = {"sw": 3, "yo": 0, "en": 0}
"""Along which axis a language's harmfulness lies; the readout sees axis 0 alone."""


def known(n: int, seed: int, split: Split, languages: tuple[str, ...] = LANGUAGES) -> Activations:
    return joined(
        [
            turned((la,), n=n, seed=seed, axis=BLIND.get(la, 0), gap=2.0, split=split)
            for la in languages
        ]
    )


@pytest.fixture(scope="module")
def material(readout: Readout) -> Material:
    translations = known(60, 7, "train", ("sw", "yo", *SOURCES))
    return Material(readout, known(12, 3, "calibration"), {}, translations=translations)


@pytest.fixture(scope="module")
def parts() -> dict[str, HeldOut]:
    return {part.language: part for part in held_out(known(100, 99, "test"), LANGUAGES)}


@pytest.fixture(scope="module")
def methods(material: Material) -> dict[str, Method]:
    made = methods_of(("recal", "translate_train", "distil"), material)
    return {method.name: method for method in made}


def gate(method: Method, part: HeldOut, material: Material, *, k: int = 4) -> Gate:
    deck = Deck(material.pool, LANGUAGES)
    return gate_of(Arm(method, k), part, deck, n_draws=6)


@pytest.mark.parametrize("name", ["translate_train", "distil"])
def test_it_wins_where_the_frozen_readout_is_blind(
    name: str, methods: dict[str, Method], material: Material, parts: dict[str, HeldOut]
) -> None:
    own, frozen = (gate(methods[each], parts["sw"], material) for each in (name, "recal"))
    assert own.j.mean > frozen.j.mean + 40
    assert own.j.n == frozen.j.n == 6


@pytest.mark.parametrize("name", ["translate_train", "distil"])
def test_where_the_frozen_readout_is_as_good_and_in_its_own_languages_it_is_recal(
    name: str, methods: dict[str, Method], material: Material, parts: dict[str, HeldOut]
) -> None:
    method = methods[name]
    assert isinstance(method, OwnGate)
    assert [method.is_frozen(language) for language in LANGUAGES] == [False, True, True]
    assert [method.needs_examples(language) for language in LANGUAGES] == [True, True, False]
    for language in ("yo", "en"):
        assert gate(method, parts[language], material) == gate(
            methods["recal"], parts[language], material
        )


def test_it_does_what_the_saved_calibration_would(
    methods: dict[str, Method], material: Material, parts: dict[str, HeldOut]
) -> None:
    method, examples = methods["translate_train"], Deck(material.pool, LANGUAGES).deal(4, 2)
    own = fit_own(material.readout, material.translations, "sw", method="translate_train")  # type: ignore[arg-type]
    made = recalibrate(material.readout, examples.activations, "sw", own=own).calibration
    saved = Saved(material.readout, {"sw": made})
    actions = [
        [t.action for t in each.treat(parts["sw"].questions(each), examples)]
        for each in (method, saved)
    ]
    assert actions[0] == actions[1]
    assert {Action.STEER, Action.RELEASE} <= set(actions[0])


def test_a_saved_calibration_is_held_against_the_score_that_it_is_of(
    methods: dict[str, Method], material: Material, parts: dict[str, HeldOut]
) -> None:
    own = fit_own(material.readout, material.translations, "sw", method="translate_train")  # type: ignore[arg-type]
    examples = Deck(material.pool, LANGUAGES).deal(4, 2).activations
    made = {
        "sw": recalibrate(material.readout, examples, "sw", own=own).calibration,
        "yo": recalibrate(material.readout, examples, "yo").calibration,
    }
    saved = Saved(material.readout, made)
    assert (saved.is_frozen("sw"), saved.is_frozen("yo")) == (False, True)
    assert saved.scorer("sw") is own.readout
    for language, scorer in (("sw", own.readout), ("yo", material.readout)):
        found = saved.scores(parts[language].questions(saved), None)
        assert np.array_equal(found, np.concatenate(parts[language].scores(scorer)))
    found = {la: gate(saved, parts[la], material) for la in made}
    assert found["sw"].steer_thresholds == ()
    assert found["yo"].steer_thresholds == (made["yo"].thresholds.steer,)
    assert found["sw"].j.mean > 40


def test_thresholds_of_an_own_score_are_in_no_picture_of_frozen_scores(
    methods: dict[str, Method], material: Material, parts: dict[str, HeldOut]
) -> None:
    own = methods["distil"]
    assert isinstance(own, Thresholded)
    assert gate(own, parts["sw"], material).steer_thresholds == ()
    assert len(gate(own, parts["yo"], material).steer_thresholds) == 6


def test_every_draw_has_thresholds_of_its_own_and_keeps_them(
    methods: dict[str, Method], material: Material
) -> None:
    own, deck = methods["translate_train"], Deck(material.pool, LANGUAGES)
    assert isinstance(own, Thresholded)
    found = [own.thresholds("sw", deck.deal(4, number)).steer for number in (1, 2, 1)]
    assert found[0] == found[2] != found[1]
    assert own.thresholds("sw", deck.deal(1, 1)).steer != found[0]


def test_without_examples_it_is_an_error(methods: dict[str, Method]) -> None:
    own = methods["translate_train"]
    assert isinstance(own, Thresholded)
    with pytest.raises(ValueError, match="`translate_train` needs examples of `sw`"):
        own.thresholds("sw", None)


def test_too_few_translations_are_an_error_and_not_the_frozen_readout(
    material: Material,
) -> None:
    few = replace(material, translations=known(20, 7, "train", ("sw", "en")))
    with pytest.raises(ValueError, match="20 harmful and 20 harmless translations of `sw`"):
        methods_of(("translate_train",), few)


@pytest.fixture(scope="module")
def kept(material: Material) -> Material:
    """The same, with a direction readout of axis 3 beside a frozen one of axis 0."""
    known_along = joined([turned(SOURCES, n=100, gap=4.0, axis=3)])
    chosen = [Candidate(place, 3) for place in PLACES]
    fallback = fit_direction(known_along, chosen, PLAN)
    return replace(material, readout=replace(material.readout, fallback=fallback))


def test_the_direction_readout_scores_every_language_but_its_sources_better_or_not(
    kept: Material, parts: dict[str, HeldOut]
) -> None:
    (_, ours, method) = methods_of(("recal", DIRECTION), kept)
    assert isinstance(method, OwnGate)
    assert [method.is_frozen(language) for language in LANGUAGES] == [False, False, True]
    gained = {
        la: gate(method, parts[la], kept).j.mean - gate(ours, parts[la], kept).j.mean
        for la in LANGUAGES
    }
    assert gained["sw"] > 40
    assert gained["yo"] < -40
    assert gained["en"] == 0


def test_the_direction_readout_is_gated_as_its_saved_calibration_would(
    kept: Material, parts: dict[str, HeldOut]
) -> None:
    (_, method) = methods_of((DIRECTION,), kept)
    examples = Deck(kept.pool, LANGUAGES).deal(4, 2)
    own = direction_of(kept.readout, "sw")
    made = recalibrate(kept.readout, examples.activations, "sw", own=own).calibration
    actions = [
        [t.action for t in each.treat(parts["sw"].questions(each), examples)]
        for each in (method, Saved(kept.readout, {"sw": made}))
    ]
    assert actions[0] == actions[1]
    assert {Action.STEER, Action.RELEASE} <= set(actions[0])


def test_a_readout_that_keeps_no_direction_cannot_be_compared(material: Material) -> None:
    with pytest.raises(ValueError, match="keeps no direction readout"):
        methods_of((DIRECTION,), material)


def prompt(language: str, split: Split, number: int, harmful: bool = True) -> Prompt:
    name = f"{split}/{harmful}/{number}"
    return Prompt(name, language, harmful, f"{language} {name}", split)


def test_translations_are_training_prompts_with_what_they_were_translated_from() -> None:
    every = [
        prompt(language, split, i, harmful)
        for language in ("sw", "yo", "en", "de")
        for split in ("train", "test", "calibration")
        for harmful in (True, False)
        for i in range(N_TRANSLATIONS + 20)
    ]
    found = translations_of(every, ("sw", "en"), ("en",))
    assert {(p.language, p.split) for p in found} == {("sw", "train"), ("en", "train")}
    mine = [p for p in found if p.language == "sw"]
    assert [sum(p.harmful is label for p in mine) for label in (True, False)] == [100, 100]
    assert {p.parallel_id for p in mine} == {p.parallel_id for p in found if p.language == "en"}
    assert translations_of(every, ("en",), ("en",)) == []


@pytest.fixture(scope="module")
def evaluated(material: Material) -> Evaluated:
    """One whole evaluation, with saved calibrations of which one has its own readout."""
    own = fit_own(material.readout, material.translations, "sw", method="translate_train")  # type: ignore[arg-type]
    examples = Deck(material.pool, LANGUAGES).deal(4, 2).activations
    saved = {
        "sw": recalibrate(material.readout, examples, "sw", own=own).calibration,
        "yo": recalibrate(material.readout, examples, "yo").calibration,
        "en": calibrate_source(material.readout, material.pool, "en"),
    }
    names = ("recal", "translate_train", "saved", "best", "oracle")
    return evaluate(
        methods_of(names, replace(material, calibrations=saved)),
        known(30, 99, "test"),
        material.pool,
        languages=LANGUAGES,
        plan=EvaluationPlan(ks=(4,), draws=2, gate_draws=3, n_resamples=100),
        writer=Writer(),
        judging=Judging(LiteralJudge()),
        context=Context(backbone="synthetic", readout=material.readout, split="test"),
    )


def test_the_frozen_readout_loses_nothing_of_what_an_own_one_loses(evaluated: Evaluated) -> None:
    low = {
        found.arm: found.readout_loss for found in evaluated.report.losses if found.tier == "low"
    }
    high = {
        found.arm: found.readout_loss for found in evaluated.report.losses if found.tier == "high"
    }
    assert low["recal@4"] is not None
    assert (low["translate_train@4"], low["saved"]) == (None, None)
    assert high["translate_train@4"] == high["recal@4"] is not None


def test_what_promotion_reads_is_of_the_score_that_would_serve(evaluated: Evaluated) -> None:
    found = {each.language: each for each in evaluated.report.results}
    frozen = {each.language: each.auc for each in evaluated.report.readouts}
    assert found["sw"].auc > 0.85 > 0.7 > frozen["sw"]
    assert found["yo"].auc == frozen["yo"]
    assert found["sw"].j > 0.4


def test_a_picture_shows_no_threshold_of_another_score(evaluated: Evaluated) -> None:
    report, exhibits = evaluated
    sw, yo, _ = (histogram(report, exhibits, of).alt for of in report.readouts)
    title = "own readout (labels of translations)"
    assert title not in sw
    assert title in yo
    assert "Recal, k = 4" in sw
