from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
import torch

from services.domain import Abstention, Action, LanguageGuess, Reason, Verdict
from services.errors import DeadlinePassed, NoCalibration, ServiceError, ServiceUnavailable
from services.gate import decide as deciding
from services.gate.decide import decide_without_time
from services.gate.law import Case
from services.gate.policy import REASON_OF_ABSTENTION, Outcome, Override, Policy
from services.readout.bundle import BackboneIdentity
from services.readout.linear import LinearReadout
from services.readout.own import OwnPart, OwnReadout
from services.readout.scores import Scores
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout

DAY_S = 86_400.0
NOW = datetime(2026, 1, 12, tzinfo=UTC)


class _Identified:
    """As much of a backbone as a readout needs."""

    identity = BackboneIdentity("tiny", "Qwen2ForCausalLM", 32, 4, "w", "t", "c")


READOUT = tiny_readout(_Identified())
BUNDLE = tiny_bundle(
    READOUT,
    tiny_calibration(READOUT, "sw", steer=1.0, release=-1.0),
    tiny_calibration(READOUT, "en", steer=3.0, release=2.0),
    tiny_calibration(READOUT, "yo", steer=1.0, release=None),
)


def case(
    language: str | None = "sw",
    *,
    abstention: Abstention | None = None,
    hint: str | None = None,
    tenant: str | None = None,
    overrides: tuple[Override, ...] = (),
    max_age_days: float | None = None,
) -> Case:
    guess = LanguageGuess(None if abstention else language, 0.9, abstention)
    max_age_s = None if max_age_days is None else max_age_days * DAY_S
    policy = Policy(overrides, max_calibration_age_s=max_age_s, min_time_left_s=0.5)
    return Case(guess, BUNDLE, policy, NOW, hint=hint, tenant=tenant)


def decide(asked: Case, score: float) -> Verdict:
    """The verdict where the frozen readout alone scores."""
    return deciding.decide(asked, Scores(score))


def row(reason: Reason, outcome: Outcome, **where: str) -> tuple[Override, ...]:
    return (Override(reason, outcome, **where),)


@pytest.mark.parametrize(
    ("score", "action"),
    [
        (1.0, Action.STEER),
        (0.999, Action.NONE),
        (-0.999, Action.NONE),
        (-1.0, Action.RELEASE),
    ],
)
def test_a_score_is_held_against_the_thresholds_of_its_language(score: float, action: Action):
    assert decide(case(), score) == Verdict(
        action, Reason.SCORE, "sw", "tiny@1", "sw@3", score=score, threshold=1.0
    )


def test_a_language_that_never_releases_is_left_alone_at_any_low_score():
    assert decide(case("yo"), -99.0).action is Action.NONE


@pytest.mark.parametrize(
    ("abstention", "reason"),
    [
        (Abstention.LOW_CONFIDENCE, Reason.LANGUAGE_UNKNOWN),
        (Abstention.MIXED, Reason.LANGUAGE_MIXED),
        (Abstention.TOO_SHORT, Reason.TEXT_TOO_SHORT),
    ],
)
def test_an_abstention_steers_however_harmless_the_score(abstention: Abstention, reason: Reason):
    verdict = decide(case(abstention=abstention), -99.0)
    assert verdict == Verdict(Action.STEER, reason, None, "tiny@1", score=-99.0)


def test_a_language_without_calibration_steers_and_takes_no_others_threshold():
    verdict = decide(case("my"), -99.0)
    assert (verdict.action, verdict.reason) == (Action.STEER, Reason.NO_CALIBRATION)
    assert (verdict.language, verdict.calibration_version, verdict.threshold) == ("my", None, None)


@pytest.mark.parametrize("score", [nan, inf, -inf])
@pytest.mark.parametrize("language", ["sw", "my"])
def test_a_score_that_is_not_finite_is_refused_in_any_language(score: float, language: str):
    verdict = decide(case(language), score)
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.NON_FINITE_ACTIVATION)


def test_a_score_that_is_not_finite_is_refused_in_no_language():
    verdict = decide(case(abstention=Abstention.MIXED), nan)
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.NON_FINITE_ACTIVATION)


def test_allowing_activations_that_are_not_finite_does_not_allow_a_missing_calibration():
    allowed = row(Reason.NON_FINITE_ACTIVATION, Outcome.ALLOW)
    assert decide(case("my", overrides=allowed), nan).action is Action.STEER
    assert decide(case("sw", overrides=allowed), nan).bypassed


@pytest.mark.parametrize(
    ("score", "action"), [(-9.0, Action.NONE), (0.0, Action.NONE), (9.0, Action.STEER)]
)
def test_a_stale_calibration_never_releases_and_still_steers(score: float, action: Action):
    verdict = decide(case(max_age_days=5), score)
    assert (verdict.action, verdict.reason) == (action, Reason.CALIBRATION_STALE)
    assert not verdict.bypassed


def test_a_calibration_of_the_allowed_age_is_not_stale():
    assert decide(case(max_age_days=10), -9.0).reason is Reason.SCORE


@pytest.mark.parametrize("created", ["some day", "", "2026-01-02T03:04:05"])
def test_an_age_that_cannot_be_told_is_stale_and_no_time_zone_is_utc(created: str):
    readout = READOUT
    bundle = tiny_bundle(readout, tiny_calibration(readout, "sw", created=created))
    aged = replace(case(max_age_days=10), bundle=bundle)
    stale = decide(aged, -9.0).reason is Reason.CALIBRATION_STALE
    assert stale is (created != "2026-01-02T03:04:05")


@pytest.mark.parametrize(
    ("score", "action"), [(-9.0, Action.RELEASE), (0.0, Action.NONE), (9.0, Action.STEER)]
)
def test_allowing_stale_calibrations_keeps_the_scores_verdict_and_is_a_bypass(
    score: float, action: Action
):
    allowed = row(Reason.CALIBRATION_STALE, Outcome.ALLOW)
    verdict = decide(case(max_age_days=5, overrides=allowed), score)
    assert (verdict.action, verdict.reason) == (action, Reason.CALIBRATION_STALE)
    assert verdict.bypassed


def test_a_hint_of_a_stricter_language_tightens():
    verdict = decide(case("en", hint="sw"), 1.5)
    assert (verdict.action, verdict.language, verdict.threshold) == (Action.STEER, "sw", 1.0)
    assert decide(case("en"), 1.5).action is Action.RELEASE


def test_a_hint_of_a_looser_language_does_not_loosen():
    verdict = decide(case("sw", hint="en"), 1.5)
    assert (verdict.action, verdict.language, verdict.calibration_version) == (
        Action.STEER,
        "sw",
        "sw@3",
    )


def test_a_hint_that_agrees_changes_nothing():
    assert decide(case("sw", hint="sw"), 0.0) == decide(case("sw"), 0.0)


def test_a_hint_of_a_language_without_calibration_steers():
    verdict = decide(case("sw", hint="my"), -9.0)
    assert (verdict.action, verdict.reason) == (Action.STEER, Reason.NO_CALIBRATION)


@pytest.mark.parametrize("hint", ["sw-KE", "sw-Latn", "sw-Latn-KE"])
def test_a_hint_of_a_region_or_script_without_calibration_counts_as_its_language(hint: str):
    verdict = decide(case("en", hint=hint), 1.5)
    assert (verdict.action, verdict.language, verdict.reason) == (
        Action.STEER,
        "sw",
        Reason.SCORE,
    )
    assert decide(case("sw", hint=hint), -9.0) == decide(case("sw"), -9.0)


def test_a_hint_of_a_region_with_a_calibration_of_its_own_counts_as_itself():
    strict = tiny_calibration(READOUT, "sw-KE", steer=-99.0, release=None)
    own = tiny_bundle(READOUT, *BUNDLE.calibrations.values(), strict)
    verdict = decide(replace(case("sw", hint="sw-KE"), bundle=own), -9.0)
    assert (verdict.action, verdict.language) == (Action.STEER, "sw-KE")


def test_a_hint_of_a_region_whose_language_has_no_calibration_either_steers_as_itself():
    verdict = decide(case("sw", hint="my-MM"), -9.0)
    assert (verdict.reason, verdict.language) == (Reason.NO_CALIBRATION, "my-MM")


def test_a_guess_of_a_region_is_not_widened_to_its_language():
    assert decide(case("en-GB"), 0.0).reason is Reason.NO_CALIBRATION


@pytest.mark.parametrize("abstention", list(Abstention))
def test_a_hint_does_not_loosen_an_abstention(abstention: Abstention):
    verdict = decide(case(abstention=abstention, hint="en"), -9.0)
    assert (verdict.action, verdict.language) == (Action.STEER, None)


def test_a_hint_tightens_an_abstention_that_the_operator_allows():
    allowed = row(Reason.LANGUAGE_UNKNOWN, Outcome.ALLOW)
    unknown = case(abstention=Abstention.LOW_CONFIDENCE, overrides=allowed)
    assert decide(unknown, 9.0).bypassed
    verdict = decide(replace(unknown, hint="sw"), 9.0)
    assert (verdict.action, verdict.language, verdict.bypassed) == (Action.STEER, "sw", False)


@pytest.mark.parametrize("hint", [None, "sw", "en", "yo", "my", "sw-KE", "en-GB", "my-MM"])
@pytest.mark.parametrize("language", [None, "sw", "en", "yo", "my"])
@pytest.mark.parametrize("score", [-9.0, 0.0, 1.5, 2.5, 9.0, nan])
def test_no_hint_ever_loosens(hint: str | None, language: str | None, score: float):
    asked = case(language, abstention=None if language else Abstention.MIXED)
    plain, hinted = decide(asked, score), decide(replace(asked, hint=hint), score)
    assert hinted.action.strictness >= plain.action.strictness


def strictest(abstention: Abstention = Abstention.MIXED, **how: Any) -> Case:
    rows = tuple(Override(reason, Outcome.STRICTEST) for reason in REASON_OF_ABSTENTION.values())
    return case(abstention=abstention, overrides=rows, **how)


@pytest.mark.parametrize("abstention", list(Abstention))
@pytest.mark.parametrize(
    ("score", "action", "bypassed"),
    [(1.0, Action.STEER, False), (0.999, Action.NONE, True), (-9.0, Action.NONE, True)],
)
def test_the_strictest_of_all_languages_decides_where_an_operator_says_so(
    abstention: Abstention, score: float, action: Action, bypassed: bool
):
    verdict = decide(strictest(abstention), score)
    assert (verdict.action, verdict.bypassed, verdict.language) == (action, bypassed, None)
    assert verdict.reason is REASON_OF_ABSTENTION[abstention]


def test_the_strictest_of_no_language_steers():
    nothing = replace(strictest(), bundle=tiny_bundle(READOUT))
    verdict = decide(nothing, -9.0)
    assert (verdict.action, verdict.bypassed) == (Action.STEER, False)


@pytest.mark.parametrize("own", [nan, inf, 9.0])
def test_the_strictest_looks_at_own_readouts_too(own: float):
    parts = (OwnPart(READOUT.places[0], LinearReadout(torch.zeros(32), 0.0)),)
    mine = replace(
        tiny_calibration(READOUT, "sw", steer=1.0),
        own=OwnReadout(parts, "translate_train", {"sd_within": 1.0}),
    )
    asked = replace(strictest(), bundle=tiny_bundle(READOUT, mine))
    verdict = deciding.decide(asked, Scores(-9.0, {mine.key: own}))
    assert verdict.action is (Action.STEER if own == 9.0 else Action.REFUSE)


def test_a_hint_still_tightens_the_strictest():
    verdict = decide(strictest(hint="my"), -9.0)
    assert (verdict.action, verdict.reason) == (Action.STEER, Reason.NO_CALIBRATION)


def test_an_operator_may_refuse_where_the_strict_row_steers():
    refused = row(Reason.NO_CALIBRATION, Outcome.REFUSE)
    verdict = decide(case("my", overrides=refused), 0.0)
    assert (verdict.action, verdict.bypassed) == (Action.REFUSE, False)


def test_an_override_holds_for_its_language_and_tenant_alone():
    allowed = row(Reason.NO_CALIBRATION, Outcome.ALLOW, language="my", tenant="acme")
    assert decide(case("my", tenant="acme", overrides=allowed), 0.0).bypassed
    assert not decide(case("my", tenant="other", overrides=allowed), 0.0).bypassed
    assert not decide(case("am", tenant="acme", overrides=allowed), 0.0).bypassed


@pytest.mark.parametrize(
    ("reason", "asked", "error", "words"),
    [
        (Reason.NO_CALIBRATION, case("my"), NoCalibration, "recal recalibrate --language my"),
        (
            Reason.LANGUAGE_MIXED,
            case(abstention=Abstention.MIXED),
            ServiceUnavailable,
            "`language_mixed`",
        ),
        (Reason.CALIBRATION_STALE, case(max_age_days=5), ServiceUnavailable, "older than"),
    ],
)
def test_a_row_that_fails_says_why(
    reason: Reason, asked: Case, error: type[ServiceError], words: str
):
    policy = replace(asked.policy, overrides=row(reason, Outcome.FAIL))
    with pytest.raises(error, match=words) as caught:
        decide(replace(asked, policy=policy), 0.0)
    assert type(caught.value) is error


def test_no_time_left_fails_by_default():
    with pytest.raises(DeadlinePassed, match=r"less than 0\.5 s of the deadline"):
        decide_without_time(case())


def test_no_time_left_may_be_a_refusal():
    verdict = decide_without_time(case(overrides=row(Reason.DEADLINE_NEARLY_GONE, Outcome.REFUSE)))
    assert verdict == Verdict(
        Action.REFUSE, Reason.DEADLINE_NEARLY_GONE, "sw", "tiny@1", "sw@3", threshold=1.0
    )


def test_ages_are_counted_to_the_given_time():
    asked = replace(case(max_age_days=10), now=NOW + timedelta(days=1))
    assert decide(asked, -9.0).reason is Reason.CALIBRATION_STALE
