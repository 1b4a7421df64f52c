"""Pure: what is known of a prompt to its verdict; where cases meet, the strictest counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.domain import Action, LanguageGuess, Reason, Verdict
from services.errors import DeadlinePassed, NoCalibration, ServiceError, ServiceUnavailable
from services.gate.policy import REASON_OF_ABSTENTION, Outcome, Policy, action_of_score
from services.readout.bundle import Bundle, Calibration
from services.readout.scores import Scores

_ACTIONS = {
    Outcome.STEER: Action.STEER,
    Outcome.REFUSE: Action.REFUSE,
    Outcome.ALLOW: Action.NONE,
}


@dataclass(frozen=True)
class Case:
    """Everything that decides one request, but its scores."""

    guess: LanguageGuess
    bundle: Bundle
    policy: Policy
    now: datetime
    """With a time zone; a calibration's age is counted up to it."""
    hint: str | None = None
    """Normalised BCP 47 tag that the caller believes in; it may tighten the verdict, never loosen
    it. A region or script that has no calibration of its own counts as its language."""
    tenant: str | None = None


def decide(case: Case, scores: Scores) -> Verdict:
    """The verdict of a scored prompt.

    It is decided under the guessed language, or the row of an abstention, and again under the
    hinted language, each by the score that its calibration names; the stricter action counts, and
    of two equal ones the guess's own. The verdict reports the score that decided: the frozen
    readout's where no calibration did.

    Args:
        case: everything else.
        scores: of the prompt, under the case's bundle.

    Raises:
        ServiceError: a row of the policy table says that the call fails.
    """
    verdicts = list(_verdicts(case, scores))
    return max(verdicts, key=lambda verdict: verdict.action.strictness)


def decide_without_time(case: Case) -> Verdict:
    """The verdict of a prompt that there is no time left to score.

    Raises:
        DeadlinePassed: the row says fail, as the strict one does.
    """
    return _row(case, Reason.DEADLINE_NEARLY_GONE, case.guess.language)


def _verdicts(case: Case, scores: Scores) -> Iterator[Verdict]:
    guess, calibrations = case.guess, case.bundle.calibrations
    if guess.abstention is not None:
        yield _abstained(case, REASON_OF_ABSTENTION[guess.abstention], scores)
    languages = [la for la in dict.fromkeys((guess.language, _hinted(case))) if la is not None]
    under = {la: scores.under(calibrations[la]) for la in languages if la in calibrations}
    # the frozen score counts too where it does not decide: it reads every place
    broken = [score for score in (scores.frozen, *under.values()) if not math.isfinite(score)]
    if broken:
        yield _row(case, Reason.NON_FINITE_ACTIVATION, guess.language, score=broken[0])
    for language in languages:
        if language not in calibrations:
            yield _row(case, Reason.NO_CALIBRATION, language, score=scores.frozen)
        elif math.isfinite(under[language]):
            yield _under(case, calibrations[language], under[language])


def _abstained(case: Case, reason: Reason, scores: Scores) -> Verdict:
    """The verdict of a text whose language is not known."""
    if case.policy.outcome(reason, tenant=case.tenant) is not Outcome.STRICTEST:
        return _row(case, reason, None, score=scores.frozen)
    known = [(scores.under(each), each.thresholds) for each in case.bundle.calibrations.values()]
    broken = [score for score, _ in known if not math.isfinite(score)]
    if broken:
        return _row(case, Reason.NON_FINITE_ACTIVATION, None, score=broken[0])
    # without any calibration nothing says that the text is harmless
    steers = not known or any(score >= thresholds.steer for score, thresholds in known)
    action = Action.STEER if steers else Action.NONE
    return _verdict(case, action, reason, None, score=scores.frozen, bypassed=not steers)


def _hinted(case: Case) -> str | None:
    """The hint, or its language alone where only that is calibrated: `en` for `en-GB`."""
    if case.hint is None or case.hint in case.bundle.calibrations:
        return case.hint
    language = case.hint.partition("-")[0]
    return language if language in case.bundle.calibrations else case.hint


def _under(case: Case, calibration: Calibration, score: float) -> Verdict:
    """The verdict of a finite score of the calibration's, if the prompt is in its language."""
    language = calibration.language
    by_score = action_of_score(
        score, steer=calibration.thresholds.steer, release=calibration.thresholds.release
    )
    if _is_stale(calibration, case):
        return _row(case, Reason.CALIBRATION_STALE, language, score=score, by_score=by_score)
    return _verdict(case, by_score, Reason.SCORE, language, score=score)


def _row(
    case: Case,
    reason: Reason,
    language: str | None,
    *,
    score: float | None = None,
    by_score: Action | None = None,
) -> Verdict:
    """The verdict that the policy table gives.

    Raises:
        ServiceError: the row says that the call fails.
    """
    outcome = case.policy.outcome(reason, language=language, tenant=case.tenant)
    if outcome is Outcome.FAIL:
        raise _failure(case, reason, language)
    action: Action
    if outcome is Outcome.NO_RELEASE:
        action = Action.NONE if by_score in (None, Action.RELEASE) else by_score
    elif outcome is Outcome.ALLOW and by_score is not None:
        action = by_score
    else:
        action = _ACTIONS[outcome]
    bypassed = case.policy.is_bypass(reason, outcome)
    return _verdict(case, action, reason, language, score=score, bypassed=bypassed)


def _verdict(
    case: Case,
    action: Action,
    reason: Reason,
    language: str | None,
    *,
    score: float | None,
    bypassed: bool = False,
) -> Verdict:
    calibration = case.bundle.calibrations.get(language) if language is not None else None
    return Verdict(
        action=action,
        reason=reason,
        language=language,
        readout_version=case.bundle.readout.version,
        calibration_version=calibration.version if calibration else None,
        score=score,
        threshold=calibration.thresholds.steer if calibration else None,
        bypassed=bypassed,
    )


def _is_stale(calibration: Calibration, case: Case) -> bool:
    """True when it is older than the policy allows; one whose age cannot be told is, too."""
    if case.policy.max_calibration_age_s is None:
        return False
    try:
        created = datetime.fromisoformat(calibration.created)
    except ValueError:
        return True
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    return (case.now - created).total_seconds() > case.policy.max_calibration_age_s


def _failure(case: Case, reason: Reason, language: str | None) -> ServiceError:
    version = case.bundle.readout.version
    if reason is Reason.NO_CALIBRATION:
        return NoCalibration(
            f"no calibration for language `{language}` with readout `{version}`; "
            f"run `recal recalibrate --language {language}` and promote the result"
        )
    if reason is Reason.DEADLINE_NEARLY_GONE:
        return DeadlinePassed(
            f"less than {case.policy.min_time_left_s:g} s of the deadline were left before the "
            "prompt was scored; allow more time"
        )
    if reason is Reason.CALIBRATION_STALE:
        return ServiceUnavailable(
            f"the calibration of `{language}` is older than the policy allows; "
            f"run `recal recalibrate --language {language}` and promote the result"
        )
    return ServiceUnavailable(
        f"the policy answers no prompt in the case `{reason.value}`; name the language more "
        "clearly, or change the policy"
    )
