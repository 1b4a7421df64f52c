from __future__ import annotations

import numpy as np
import pytest

from recal.maths.logistic import score, score_pair
from recal.maths.metrics import auroc, balanced_accuracy
from recal.maths.readout import fit_ranks, fit_readout, fit_wide
from recal.maths.source import pooled_within_sd
from recal.maths.two_class import TwoClass, stacked
from tests.unit.recal.maths.samples import residuals


def scored(fitted, rows: dict[str, TwoClass]) -> dict[str, TwoClass]:
    return {
        language: TwoClass(*(score(fitted.folded, part) for part in pair))
        for language, pair in rows.items()
    }


def test_one_unit_of_score_is_one_standard_deviation_within_a_source_class() -> None:
    rows = residuals()
    fitted = fit_readout(rows)
    assert pooled_within_sd(scored(fitted, rows)) == pytest.approx(1.0)
    assert fitted.source.sd_within == pytest.approx(1.0)


def test_scores_do_not_depend_on_the_residuals_unit() -> None:
    rows = residuals()
    large = {language: TwoClass(*(1000 * part for part in pair)) for language, pair in rows.items()}
    for language, pair in scored(fit_readout(large), large).items():
        expected = scored(fit_readout(rows), rows)[language].harmful
        np.testing.assert_allclose(pair.harmful, expected, atol=1e-4)


def test_a_new_language_is_separated_by_what_the_sources_share() -> None:
    rows = residuals(n_languages=6, n=80)
    target = rows.pop("l5")
    fitted = fit_readout(rows)
    assert auroc(*scored(fitted, {"new": target})["new"]) > 0.9


def test_permuted_labels_separate_nothing_in_a_new_language() -> None:
    rng = np.random.default_rng(0)
    rows = {
        language: TwoClass(*np.split(rng.permutation(np.concatenate(pair)), 2))
        for language, pair in residuals(n_languages=6, n=800, shift=0.0).items()
    }
    target = rows.pop("l5")
    area = auroc(*scored(fit_readout(rows), {"new": target})["new"])
    assert area == pytest.approx(0.5, abs=0.06)


def test_the_rank_is_the_number_of_columns() -> None:
    assert fit_readout(residuals(), rank=2).basis.shape == (12, 2)


def test_the_source_threshold_separates_the_sources() -> None:
    rows = residuals()
    fitted = fit_readout(rows)
    pairs = scored(fitted, rows).values()
    both = (np.concatenate([p.harmful for p in pairs]), np.concatenate([p.harmless for p in pairs]))
    assert balanced_accuracy(*both, fitted.source.threshold) > 0.9


def test_no_languages_make_no_readout() -> None:
    with pytest.raises(ValueError, match="no languages"):
        fit_readout({})


def test_languages_weigh_the_same_only_where_that_was_asked() -> None:
    rows = residuals(n=15)
    repeated = rows | {"l0": TwoClass(*(np.repeat(part, 20, axis=0) for part in rows["l0"]))}
    equal, unequal = (
        fit_readout(repeated, equal_languages=equal).logistic.weights for equal in (True, False)
    )
    assert np.abs(equal - unequal).max() > 0.01


def test_readouts_of_several_ranks_are_those_that_each_rank_gives_alone() -> None:
    rows = residuals(n_languages=5)
    found = fit_ranks(rows, (1, 3, 5))
    for rank, fitted in found.items():
        alone = fit_readout(rows, rank=rank)
        np.testing.assert_allclose(fitted.folded.weight, alone.folded.weight, atol=1e-7)
        assert fitted.basis.shape == (12, rank)
    assert np.abs(found[1].folded.weight - found[5].folded.weight).max() > 1e-2


def test_a_rank_above_the_number_of_languages_is_the_whole_span() -> None:
    rows = residuals(n_languages=3)
    found = fit_ranks(rows, (3, 10))
    np.testing.assert_allclose(found[10].folded.weight, found[3].folded.weight)
    assert found[10].basis.shape == (12, 3)


def test_a_wide_readout_sees_what_lies_outside_of_the_directions() -> None:
    """Noise that both coordinates share: only their difference is clean."""
    rng = np.random.default_rng(0)

    def pair(n: int) -> TwoClass:
        shared = 3 * rng.normal(size=(2, n, 1))
        rows = 0.3 * rng.normal(size=(2, n, 2)) + shared
        rows[0, :, 0] += 1.0
        return TwoClass(*rows)

    fitted_on, unseen = {"a": pair(400), "b": pair(400)}, {"new": pair(400)}
    wide, narrow = fit_wide(stacked(fitted_on), c=1.0), fit_readout(fitted_on, rank=1)
    assert auroc(*score_pair(wide, unseen["new"])) > 0.95
    assert auroc(*scored(narrow, unseen)["new"]) < 0.7


def test_a_wide_readout_is_in_log_odds_and_not_in_standard_deviations_of_its_own_rows() -> None:
    """Folds of one language are held side by side, so no fit may have a unit of its own."""
    rows = stacked(residuals())
    firm, loose = (fit_wide(rows, c=c) for c in (1e-4, 1.0))
    assert np.linalg.norm(firm.weight) < 0.2 * np.linalg.norm(loose.weight)
