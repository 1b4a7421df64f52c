"""What other languages' calibrations say of one language."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recal.maths.prior import OwnThreshold
from recal.prior import own_thresholds, prior_for, rho_for
from tests.unit.services.readout.factories import a_calibration, a_readout, an_own_readout

READOUT = a_readout(digest="d" * 64)


def own(**thresholds: float) -> dict[str, OwnThreshold]:
    return {language: OwnThreshold(value, 0.35) for language, value in thresholds.items()}


def test_a_calibrations_own_threshold_is_read_and_not_the_one_that_serves() -> None:
    made = replace(
        a_calibration("sw", estimator="auto", steer=9.0),
        evidence={"own_threshold": -2.0, "own_sd": 0.3},
    )
    assert own_thresholds([made], READOUT) == {"sw": OwnThreshold(-2.0, 0.3)}


def test_one_from_before_evidence_was_kept_counts_where_labels_alone_made_it() -> None:
    old = a_calibration("sw", estimator="midpoint", steer=-1.0)
    unknown = a_calibration("yo", estimator="auto", steer=-1.0)
    assert own_thresholds([old, unknown], READOUT) == {"sw": OwnThreshold(-1.0, 0.3)}


def test_a_source_languages_shared_threshold_is_not_its_own() -> None:
    assert own_thresholds([a_calibration("en", estimator="source", k=0)], READOUT) == {}


def test_calibrations_of_another_readout_say_nothing() -> None:
    other = a_calibration("sw", readout_digest="e" * 64)
    assert own_thresholds([other], READOUT) == {}


def test_a_calibration_with_its_own_readout_says_nothing_in_the_frozen_scores_unit() -> None:
    evidence = {"own_threshold": -2.0, "own_sd": 0.3, "rho": 0.9, "rho_freedom": 20.0}
    frozen = replace(a_calibration("sw", estimator="auto"), evidence=evidence)
    owning = replace(frozen, own=an_own_readout())
    assert own_thresholds([frozen], READOUT).keys() == {"sw"}
    assert own_thresholds([owning], READOUT) == {}
    assert rho_for("yo", [frozen], READOUT) is not None
    assert rho_for("yo", [owning], READOUT) is None


def test_a_language_is_never_its_own_prior() -> None:
    found = prior_for("sw", own(sw=9.0, am=-1.0))
    assert found is not None
    assert found.languages == ("am",)


def test_three_languages_of_the_tier_speak_for_it_and_others_are_silent() -> None:
    thresholds = own(am=-2.0, my=-1.8, km=-2.2, th=0.1, ar=0.2, he=0.0, hi=-0.1)
    found = prior_for("sw", thresholds)
    assert found is not None
    assert set(found.languages) == {"am", "my", "km"}
    assert found.mean == pytest.approx(-2.0)


def test_with_two_of_its_tier_all_languages_speak() -> None:
    found = prior_for("sw", own(am=-2.0, my=-1.8, th=0.1, ar=0.2))
    assert found is not None
    assert set(found.languages) == {"am", "my", "th", "ar"}


def test_a_language_outside_of_the_tiers_is_told_by_all() -> None:
    thresholds = own(am=-2.0, my=-1.8, km=-2.2, th=0.1)
    found = prior_for("ha", thresholds)
    assert found is not None
    assert len(found.languages) == 4


def test_languages_outside_of_the_tiers_are_no_tier() -> None:
    found = prior_for("ha", own(xh=-2.0, zu=-1.8, ig=-2.2, am=-2.1))
    assert found is not None
    assert len(found.languages) == 4


def test_no_other_language_is_no_prior() -> None:
    assert prior_for("sw", own(sw=1.0)) is None


def test_the_correlation_is_pooled_over_the_other_languages() -> None:
    def made(language: str, rho: float, freedom: float) -> object:
        evidence = {"rho": rho, "rho_freedom": freedom}
        return replace(a_calibration(language), evidence=evidence)

    others = [made("am", 0.9, 400.0), made("sw", -0.9, 400.0)]
    assert rho_for("sw", others, READOUT) == pytest.approx(0.89, abs=0.02)
    assert rho_for("sw", [made("sw", 0.9, 400.0)], READOUT) is None
    other_readout = replace(others[0], readout_digest="e" * 64)
    assert rho_for("sw", [other_readout], READOUT) is None
