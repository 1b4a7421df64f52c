"""A refit on translations follows a language whose harmfulness lies along its own direction."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.logistic import Folded, score
from recal.maths.metrics import auroc
from recal.maths.readout import fit_readout
from recal.maths.translations import refit_on_translations
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.samples import residuals, unit

D = 12


def a_language(rng: np.random.Generator, direction: np.ndarray, n: int) -> TwoClass:
    noise = rng.normal(size=(2, n, D))
    return TwoClass(noise[0] + 1.2 * direction + 1.0, noise[1] - 1.2 * direction + 1.0)


def setting() -> tuple[dict[str, TwoClass], TwoClass, TwoClass]:
    """Source languages, and a language along a direction of its own: translations and unseen."""
    rng = np.random.default_rng(7)
    own = unit(rng.normal(size=D))
    return residuals(n=60, d=D), a_language(rng, own, 120), a_language(rng, own, 400)


def auc(folded: Folded, rows: TwoClass) -> float:
    return auroc(score(folded, rows.harmful), score(folded, rows.harmless))


@pytest.mark.parametrize(("keep_source", "gain"), [(False, 0.1), (True, 0.02)])
def test_it_separates_what_the_source_readout_does_not(keep_source: bool, gain: float) -> None:
    source, translated, unseen = setting()
    found = refit_on_translations(source, {"sw": translated}, keep_source=keep_source)
    assert auc(found.folded, unseen) > auc(fit_readout(source).folded, unseen) + gain


def test_keeping_the_source_keeps_what_it_separates() -> None:
    source, translated, _ = setting()
    kept, alone = (
        refit_on_translations(source, {"sw": translated}, keep_source=keep)
        for keep in (True, False)
    )
    assert auc(kept.folded, source["l0"]) > auc(alone.folded, source["l0"]) + 0.02


def test_translations_with_shuffled_labels_teach_nothing() -> None:
    source, translated, unseen = setting()
    rows = np.random.default_rng(1).permutation(np.concatenate(translated))
    shuffled = TwoClass(rows[:120], rows[120:])
    found = refit_on_translations(source, {"sw": shuffled})
    fitted = refit_on_translations(source, {"sw": translated})
    assert auc(found.folded, unseen) < auc(fitted.folded, unseen) - 0.1


def test_the_score_is_in_the_translations_standard_deviations() -> None:
    source, translated, _ = setting()
    found = refit_on_translations(source, {"sw": translated})
    assert found.source.sd_within == pytest.approx(1.0)
    assert found.source.mean_harmful > found.source.threshold > found.source.mean_harmless


def test_the_subspace_spans_the_translations_own_direction_too() -> None:
    source, translated, _ = setting()
    found = refit_on_translations(source, {"sw": translated})
    assert found.basis.shape == (D, len(source) + 1)


@pytest.mark.parametrize(
    ("languages", "named"),
    [((), "translations are given for 0 language"), (("l1",), "l1 is a source language already")],
)
def test_translations_of_no_new_language_are_refused(
    languages: tuple[str, ...], named: str
) -> None:
    source, translated, _ = setting()
    with pytest.raises(ValueError, match=named):
        refit_on_translations(source, dict.fromkeys(languages, translated))
