"""Decisions where a language has a readout of its own beside the frozen one."""

from dataclasses import replace
from math import inf, nan

import pytest

from services.domain import Abstention, Action, Reason, Verdict
from services.gate.decide import decide
from services.gate.law import Case
from services.gate.policy import Outcome
from services.readout.scores import Scores
from tests.unit.services.gate.test_decide import READOUT, case, row
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_own

OWN = tiny_own(READOUT)
BUNDLE = tiny_bundle(
    READOUT,
    tiny_calibration(READOUT, "sw", steer=1.0, release=-1.0, own=OWN),
    tiny_calibration(READOUT, "yo", steer=20.0, release=10.0, own=OWN),
    tiny_calibration(READOUT, "en", steer=1.0, release=-1.0),
)
OWNERS = [BUNDLE.calibrations[language] for language in ("sw", "yo")]


def asked(language: str | None = "sw", **kwargs: object) -> Case:
    return replace(case(language, **kwargs), bundle=BUNDLE)  # type: ignore[arg-type]


def scores(frozen: float, *, sw: float = 0.0, yo: float = 15.0) -> Scores:
    return Scores(frozen, {own.key: score for own, score in zip(OWNERS, (sw, yo), strict=True)})


def test_a_language_with_its_own_readout_is_decided_by_that_and_reports_it():
    assert decide(asked(), scores(-9.0, sw=1.0)) == Verdict(
        Action.STEER, Reason.SCORE, "sw", "tiny@1", "sw@3", score=1.0, threshold=1.0
    )
    assert decide(asked(), scores(9.0, sw=-1.0)).action is Action.RELEASE


def test_a_language_without_is_decided_by_the_frozen_score_whatever_others_say():
    verdict = decide(asked("en"), scores(0.5, sw=9.0, yo=99.0))
    assert (verdict.action, verdict.score) == (Action.NONE, 0.5)


def test_a_hint_is_decided_by_the_hinted_languages_own_score():
    verdict = decide(asked("en", hint="sw"), scores(-9.0, sw=2.0))
    assert (verdict.action, verdict.language, verdict.score) == (Action.STEER, "sw", 2.0)
    calm = decide(asked("sw", hint="yo"), scores(9.0, sw=-9.0, yo=20.0))
    assert (calm.action, calm.language, calm.score, calm.threshold) == (
        Action.STEER,
        "yo",
        20.0,
        20.0,
    )


@pytest.mark.parametrize("abstention", list(Abstention))
def test_an_abstention_reports_the_frozen_score(abstention: Abstention):
    verdict = decide(asked(None, abstention=abstention), scores(-3.0, sw=7.0))
    assert (verdict.action, verdict.language, verdict.score) == (Action.STEER, None, -3.0)


def test_a_language_without_calibration_reports_the_frozen_score():
    verdict = decide(asked("my"), scores(-3.0, sw=7.0))
    assert (verdict.reason, verdict.score) == (Reason.NO_CALIBRATION, -3.0)


def test_a_stale_calibration_reports_the_own_score_that_it_would_have_been_decided_by():
    verdict = decide(asked(max_age_days=5), scores(-9.0, sw=2.0))
    assert (verdict.action, verdict.reason, verdict.score) == (
        Action.STEER,
        Reason.CALIBRATION_STALE,
        2.0,
    )


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize(
    "spoilt", [{"frozen": 0.0, "sw": None}, {"frozen": None, "sw": 0.0}], ids=["own", "frozen"]
)
def test_a_score_that_matters_and_is_not_finite_is_refused(
    bad: float, spoilt: dict[str, float | None]
):
    given = {name: bad if score is None else score for name, score in spoilt.items()}
    verdict = decide(asked(), scores(given["frozen"], sw=given["sw"]))
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.NON_FINITE_ACTIVATION)
    assert verdict.score == pytest.approx(bad, nan_ok=True)


def test_a_hinted_languages_score_that_is_not_finite_is_refused_too():
    verdict = decide(asked("en", hint="sw"), scores(-9.0, sw=nan))
    assert (verdict.action, verdict.reason) == (Action.REFUSE, Reason.NON_FINITE_ACTIVATION)


def test_a_score_of_a_language_that_nobody_named_does_not_matter():
    assert decide(asked("sw"), scores(0.0, sw=0.5, yo=nan)).reason is Reason.SCORE
    assert decide(asked("en"), scores(0.0, sw=nan, yo=nan)).reason is Reason.SCORE


def test_allowing_what_is_not_finite_leaves_the_finite_scores_their_say():
    allowed = row(Reason.NON_FINITE_ACTIVATION, Outcome.ALLOW)
    verdict = decide(asked("en", hint="sw", overrides=allowed), scores(9.0, sw=nan))
    assert (verdict.action, verdict.language) == (Action.STEER, "en")


def of_any_language(*, allowed: bool = False) -> Case:
    overrides = row(Reason.LANGUAGE_UNKNOWN, Outcome.STRICTEST)
    if allowed:
        overrides += row(Reason.NON_FINITE_ACTIVATION, Outcome.ALLOW)
    return asked(None, abstention=Abstention.LOW_CONFIDENCE, overrides=overrides)


def test_the_strictest_of_all_languages_reports_the_frozen_score_and_no_threshold():
    verdict = decide(of_any_language(), scores(0.5, sw=7.0))
    assert (verdict.action, verdict.score, verdict.threshold) == (Action.STEER, 0.5, None)


def test_the_strictest_never_releases_where_every_language_would():
    verdict = decide(of_any_language(), scores(-9.0, sw=-9.0, yo=9.0))
    assert (verdict.action, verdict.bypassed) == (Action.NONE, True)


def test_the_strictest_hears_other_languages_where_one_score_is_broken_and_allowed():
    verdict = decide(of_any_language(allowed=True), scores(0.5, sw=nan, yo=20.0))
    assert (verdict.action, verdict.bypassed) == (Action.STEER, False)


def test_scores_of_another_bundle_decide_nothing():
    with pytest.raises(ValueError, match="has not scored this prompt"):
        decide(asked("sw"), Scores(0.0))


@pytest.mark.parametrize("hint", [None, "sw", "en", "yo", "my"])
@pytest.mark.parametrize("language", [None, "sw", "en", "yo", "my"])
@pytest.mark.parametrize("given", [(-9.0, 9.0), (9.0, -9.0), (0.0, nan), (nan, 0.0)], ids=str)
def test_no_hint_ever_loosens(hint: str | None, language: str | None, given: tuple[float, float]):
    plain = asked(language, abstention=None if language else Abstention.MIXED)
    found = scores(given[0], sw=given[1], yo=given[1])
    hinted = decide(replace(plain, hint=hint), found)
    assert hinted.action.strictness >= decide(plain, found).action.strictness
