"""A language's own readout: what it learns of translations, and when it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from recal.collect import Activations
from recal.fit import Candidate, fit
from recal.maths.metrics import auroc
from recal.maths.source import pooled_within_sd
from recal.own_readout import FittedOwn, OwnMethod, fit_own, own_method, refuse_translations
from recal.prompts import Prompt, Split
from recal.recalibrate import recalibrate, scores_of
from services.readout.bundle import Readout
from services.readout.place import READINGS, Place
from tests.unit.recal.synthetic import D_MODEL, IDENTITY, activations
from tests.unit.recal.test_fit import PLAN, steering

SOURCES = ("en", "de", "fr")
PLACES = (Place(1, "last"), Place(2, "mean"))


def turned(
    languages: Sequence[str],
    *,
    n: int = 60,
    seed: int = 0,
    axis: int = 0,
    gap: float = 2.0,
    places: Sequence[Place] = PLACES,
    split: Split = "train",
) -> Activations:
    """Prompts whose harmfulness lies along one axis at two places, each with noise of its own.

    Prompts of one seed mean the same in every language, and lie as far along their axis.
    """
    rng = np.random.default_rng(seed)
    extent = rng.normal(0, 1, (2, n))
    prompts, rows = [], []
    for language in languages:
        own = np.random.default_rng((seed, *language.encode()))
        for harmful in (True, False):
            for i in range(n):
                name = f"{seed}/{harmful}/{i}"
                prompts.append(Prompt(name, language, harmful, f"{language} {name}", split))
                row = own.normal(0, 1, (3, len(READINGS), D_MODEL))
                for layer, reading in places:
                    along = gap * harmful + 0.5 * extent[int(harmful), i]
                    row[layer, READINGS.index(reading), axis] += along
                rows.append(row)
    residuals = np.asarray(rows, dtype=np.float32)
    return Activations(tuple(prompts), (0, 1, 2), residuals, READINGS)


@pytest.fixture(scope="module")
def readout() -> Readout:
    """Fitted where harmfulness lies along axis 0, and blind to axis 3."""
    chosen = [Candidate(place, 3) for place in PLACES]
    made = fit(
        turned((*SOURCES, "ar"), n=100, gap=4.0),
        IDENTITY,
        chosen=chosen,
        steering=steering(),
        plan=PLAN,
        provenance={},
    )
    return replace(made, digest="d" * 64, version="readout@1")


def translations(n: int = 60, seed: int = 7, **others: object) -> Activations:
    return turned(("sw",), n=n, seed=seed, axis=3, **others)  # type: ignore[arg-type]


def sources(
    n: int = 60, seed: int = 7, languages: Sequence[str] = ("en",), gap: float = 4.0
) -> Activations:
    return turned(languages, n=n, seed=seed, gap=gap)


def fitted(readout: Readout, method: OwnMethod = "translate_train", n: int = 60) -> FittedOwn:
    taught_by = sources(n) if method == "distil" else None
    return fit_own(readout, translations(n), "sw", method=method, sources=taught_by)


def unseen() -> Activations:
    return translations(n=200, seed=99, split="test")


@pytest.mark.parametrize("method", ["translate_train", "distil"])
def test_it_follows_a_language_whose_harmfulness_lies_where_the_frozen_readout_is_blind(
    readout: Readout, method: OwnMethod
) -> None:
    own = fitted(readout, method)
    assert auroc(*scores_of(readout, unseen(), "sw")) < 0.6
    assert auroc(*scores_of(own.readout, unseen(), "sw")) > 0.9


@pytest.mark.parametrize("method", ["translate_train", "distil"])
def test_what_it_says_of_itself_holds_for_prompts_that_it_has_not_seen(
    readout: Readout, method: OwnMethod
) -> None:
    own = fitted(readout, method, n=150)
    found = scores_of(own.readout, translations(n=400, seed=100, split="test"), "sw")
    said = own.readout.statistics
    assert said["auc"] == pytest.approx(auroc(*found), abs=0.03)
    midway = (found.harmful.mean() + found.harmless.mean()) / 2
    assert (said["mean_harmful"] + said["mean_harmless"]) / 2 == pytest.approx(midway, abs=0.2)
    assert pooled_within_sd({"sw": found}) == pytest.approx(1.0, abs=0.15)
    assert said["sd_within"] == pytest.approx(1.0)
    assert said["frozen_auc"] == pytest.approx(auroc(*scores_of(readout, translations(150), "sw")))


def test_a_method_that_looks_at_labels_knows_few_translations_too_well(readout: Readout) -> None:
    """The negative control: its scores of what it was fitted on flatter it."""
    own = fitted(readout)
    flattering = auroc(*scores_of(own.readout, translations(), "sw"))
    assert flattering > own.readout.statistics["auc"] + 0.01


def test_both_places_are_read_and_either_alone_is_worse(readout: Readout) -> None:
    own = fitted(readout).readout
    assert own.places == readout.places == PLACES
    alone = [auroc(*scores_of(replace(own, parts=(part,)), unseen(), "sw")) for part in own.parts]
    assert auroc(*scores_of(own, unseen(), "sw")) > max(alone) + 0.02


def test_places_weigh_the_same_though_one_speaks_louder(readout: Readout) -> None:
    own = fitted(readout).readout
    read = torch.from_numpy(
        np.stack([translations().at(layer, reading=reading) for layer, reading in PLACES], axis=1)
    ).float()
    spread = [float(p.linear.score(read[:, i])[60:].std()) for i, p in enumerate(own.parts)]
    assert spread[0] == pytest.approx(spread[1], rel=0.35)


def test_distil_is_given_no_label(readout: Readout) -> None:
    """Labels choose its penalty and say what it is worth; they do not move its weights."""
    given = translations()
    honest = fit_own(readout, given, "sw", method="distil", sources=sources())
    prompts = list(given.prompts)
    for row in (3, 70):
        prompts[row] = replace(prompts[row], harmful=not prompts[row].harmful)
    wrong = replace(given, prompts=tuple(prompts))
    misled = fit_own(readout, wrong, "sw", method="distil", sources=sources())
    both = (honest.readout.parts[0].linear.weight, misled.readout.parts[0].linear.weight)
    cosine = torch.nn.functional.cosine_similarity(*both, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-4)
    assert misled.readout.statistics["auc"] < honest.readout.statistics["auc"]


def test_several_source_languages_teach_by_their_mean(readout: Readout) -> None:
    three = sources(languages=SOURCES)
    # scores are linear, so that the mean of residuals has the mean of their scores
    averaged = np.asarray(three.residuals).reshape(3, 120, 3, 3, D_MODEL).mean(axis=0)
    one = replace(sources(), residuals=averaged)
    weights = [
        fit_own(readout, translations(), "sw", method="distil", sources=each)
        .readout.parts[0]
        .linear.weight
        for each in (three, one, sources())
    ]
    torch.testing.assert_close(weights[0], weights[1], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(weights[0], weights[2], atol=1e-2)


def test_two_translations_of_one_prompt_do_not_vouch_for_each_other(readout: Readout) -> None:
    """The negative control: noise that comes twice under two meanings looks like knowledge."""
    once = translations(gap=0.0)
    again = [replace(p, id=f"again/{p.id}", text=f"again {p.text}") for p in once.prompts]
    apart = [replace(p, parallel_id=p.id) for p in again]
    residuals = np.concatenate([np.asarray(once.residuals)] * 2)
    said = [
        fit_own(
            readout,
            replace(once, prompts=(*once.prompts, *more), residuals=residuals),
            "sw",
            method="translate_train",
        ).readout.statistics["auc"]
        for more in (again, apart)
    ]
    assert said[0] < 0.55
    assert said[1] > said[0] + 0.1


def test_sources_that_mean_something_else_teach_nothing(readout: Readout) -> None:
    given = sources()
    mixed = np.random.default_rng(0).permutation(len(given.prompts))
    strange = replace(given, residuals=given.residuals[mixed])  # type: ignore[index]
    with pytest.raises(ValueError, match="ranks translations of `sw` that it had not seen"):
        fit_own(fitted_on_axis(3), translations(), "sw", method="distil", sources=strange)


def fitted_on_axis(axis: int) -> Readout:
    chosen = [Candidate(place, 3) for place in PLACES]
    known = turned((*SOURCES, "ar"), n=100, axis=axis)
    made = fit(known, IDENTITY, chosen=chosen, steering=steering(), plan=PLAN, provenance={})
    return replace(made, digest="d" * 64)


@pytest.mark.parametrize("method", ["translate_train", "distil"])
def test_one_that_is_no_better_than_the_frozen_readout_is_refused(method: OwnMethod) -> None:
    """The frozen one was fitted on ten times as much along the same axis."""
    taught_by = turned(("en",), n=60, seed=7, axis=3, gap=0.4) if method == "distil" else None
    with pytest.raises(ValueError, match="keep the frozen readout, or give more translations"):
        fit_own(fitted_on_axis(3), translations(gap=0.4), "sw", method=method, sources=taught_by)


def test_too_few_translations_of_a_class_are_refused_with_the_counts(readout: Readout) -> None:
    few = translations(50).subset(range(1, 100))
    with pytest.raises(ValueError, match="49 harmful and 50 harmless translations of `sw` are too"):
        fit_own(readout, few, "sw", method="translate_train")
    with pytest.raises(ValueError, match="0 harmful and 0 harmless translations of `yo`"):
        fit_own(readout, translations(), "yo", method="translate_train")


def test_one_class_alone_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="60 harmful and 0 harmless"):
        fit_own(readout, translations().subset(range(60)), "sw", method="translate_train")


def test_a_translation_that_comes_twice_counts_once_and_is_named(readout: Readout) -> None:
    given = translations()
    prompts = list(given.prompts)
    prompts[1] = replace(prompts[1], text=prompts[0].text)
    own = fit_own(readout, replace(given, prompts=tuple(prompts)), "sw", method="translate_train")
    assert len(own.prompts) == 119
    assert own.readout.statistics["n_harmful"] == 59
    assert "are the same text" in own.warnings[0]


@pytest.mark.parametrize("split", ["test", "heldout"])
def test_prompts_of_a_split_that_tests_are_not_fitted_on(readout: Readout, split: Split) -> None:
    given = translations()
    prompts = (replace(given.prompts[0], split=split), *given.prompts[1:])
    with pytest.raises(
        ValueError, match=rf"1 translation\(s\) of `sw` are of a split.*\({split}\)"
    ):
        fit_own(readout, replace(given, prompts=prompts), "sw", method="translate_train")


def test_distil_without_sources_or_with_some_missing_is_refused(readout: Readout) -> None:
    with pytest.raises(ValueError, match="there are none; give them as sources"):
        fit_own(readout, translations(), "sw", method="distil")
    some = sources().subset(range(2, 120))
    with pytest.raises(ValueError, match=r"2 of 120 translations .* the first is `7/True/0`"):
        fit_own(readout, translations(), "sw", method="distil", sources=some)


def test_a_teacher_in_a_language_that_the_readout_does_not_know_is_refused(
    readout: Readout,
) -> None:
    with pytest.raises(ValueError, match="also in ar, which the readout was not fitted on"):
        fit_own(
            readout,
            translations(),
            "sw",
            method="distil",
            sources=sources(languages=("en", "ar")),
        )


def test_an_unknown_method_is_refused_with_those_that_there_are() -> None:
    assert own_method("distil") == "distil"
    with pytest.raises(ValueError, match="`best`; choose one of translate_train, distil"):
        own_method("best")


def prompt(**changes: str) -> Prompt:
    return Prompt(
        **{"id": "x", "language": "sw", "harmful": True, "text": "t", "split": "test"} | changes
    )  # type: ignore[arg-type]


def test_a_prompt_that_is_a_translation_or_means_the_same_is_named(readout: Readout) -> None:
    own = fitted(readout)
    first = own.prompts[0]
    refuse_translations(own, [prompt()], "example")
    refuse_translations(own, [prompt(language="en", parallel_id=first.parallel_id)], "example")
    same_text, same_meaning = prompt(text=first.text), prompt(parallel_id=first.parallel_id)
    for twin in (same_text, same_meaning):
        with pytest.raises(ValueError, match=f"example `x` .* is the translation `{first.id}`"):
            refuse_translations(own, [prompt(), twin], "example")


def test_it_says_in_a_line_how_it_came_to_be_and_shows_no_text(readout: Readout) -> None:
    said = fitted(readout).said
    assert said.startswith("translate_train from 60 harmful and 60 harmless translations: AUC 0.9")
    assert "by the frozen readout" in said


def test_other_languages_among_the_translations_are_not_fitted_on(readout: Readout) -> None:
    alone = fitted(readout)
    mine, other = translations(), activations(("yo",), n=60)
    wide = np.repeat(other.residuals[:, :, None], 3, axis=2)  # type: ignore[index]
    mixed = Activations(
        (*other.prompts, *mine.prompts),
        mine.layers,
        np.concatenate([wide, mine.residuals]),  # type: ignore[arg-type]
        READINGS,
    )
    found = fit_own(readout, mixed, "sw", method="translate_train")
    assert torch.equal(found.readout.parts[0].linear.weight, alone.readout.parts[0].linear.weight)


def test_a_threshold_of_a_readout_that_reads_elsewhere_is_refused(readout: Readout) -> None:
    elsewhere = replace(readout, parts=readout.parts[:1])
    with pytest.raises(ValueError, match=r"the frozen one reads 1\.last; it may read some"):
        recalibrate(elsewhere, None, "sw", own=fitted(readout))
