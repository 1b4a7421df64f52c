"""Pure: what decides one prompt, as laws: an action for each interval of one score.

Every case of the policy table and every language is a law, so that the same table decides one
prompt in Python and a whole batch on a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from services.domain import Action, GateRequest, LanguageGuess, Reason, Verdict
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
    routing_key: str | None = field(default=None, repr=False)
    """By which the challenger's share is drawn; None: champions decide."""
    instead: Calibration | None = None
    """Decides its language in place of what serves it: how a shadow's verdict is found."""

    def deciding(self, language: str | None) -> Calibration | None:
        """The calibration that decides a language in this case; None where there is none."""
        if language is None:
            return None
        if self.instead is not None and self.instead.language == language:
            return self.instead
        return self.bundle.deciding(language, self.routing_key)


def case_of(request: GateRequest, bundle: Bundle, policy: Policy, now: datetime) -> Case:
    """The case of a request that is decided under a bundle."""
    return Case(
        guess=request.guess,
        bundle=bundle,
        policy=policy,
        now=now,
        hint=request.hint,
        tenant=request.tenant,
        routing_key=request.routing_key,
    )


class Ruling(NamedTuple):
    """What is done, and whether the strict row would have stopped it."""

    action: Action
    bypassed: bool = False


_BY_SCORE: Mapping[Action, Ruling] = MappingProxyType(
    {action: Ruling(action) for action in (Action.STEER, Action.NONE, Action.RELEASE)}
)
"""What the thresholds say is done."""
_UNTOUCHED = Ruling(Action.NONE, bypassed=True)
_STRICTEST: Mapping[Action, Ruling] = MappingProxyType(
    {**_BY_SCORE, Action.NONE: _UNTOUCHED, Action.RELEASE: _UNTOUCHED}
)
"""Of a text that may be in any language: never released."""


class Law(NamedTuple):
    """How a prompt is decided by one language's calibration, or by one row of the policy table."""

    reason: Reason
    language: str | None
    """Under which it is decided and reported; None: no language is known."""
    rulings: Mapping[Action, Ruling]
    """By what the thresholds say of the score; where no score matters, `NONE` alone."""
    calibration: Calibration | None = None
    """Whose score is held against whose thresholds; None: no score matters."""

    @property
    def is_fixed(self) -> bool:
        """True when no score matters."""
        return self.calibration is None

    def score(self, scores: Scores) -> float:
        """The score that it reads; the frozen one where none matters."""
        return scores.frozen if self.calibration is None else scores.under(self.calibration)

    def ruling(self, score: float) -> Ruling:
        """What is done at a finite score, or at any where none matters."""
        if self.calibration is None:
            return self.rulings[Action.NONE]
        thresholds = self.calibration.thresholds
        return self.rulings[
            action_of_score(score, steer=thresholds.steer, release=thresholds.release)
        ]

    def verdict(self, case: Case, ruling: Ruling, score: float | None) -> Verdict:
        """The verdict that a ruling of this law makes.

        Args:
            case: that the law was made for.
            ruling: as `ruling` gives it.
            score: that is reported.
        """
        calibration = case.deciding(self.language)
        return Verdict(
            action=ruling.action,
            reason=self.reason,
            language=self.language,
            readout_version=case.bundle.readout.version,
            calibration_version=calibration.version if calibration else None,
            score=score,
            threshold=calibration.thresholds.steer if calibration else None,
            bypassed=ruling.bypassed,
        )


def laws_of(case: Case) -> tuple[Law, ...]:
    """Every law that a prompt falls under; the strictest of their verdicts counts.

    Of equal ones the first: the guess's before the hint's.

    Raises:
        ServiceError: a row of the policy table says that the call fails.
    """
    return tuple(_laws(case))


def law_of_row(case: Case, reason: Reason) -> Law:
    """The policy table's row of a case in which no threshold can be asked.

    Raises:
        ServiceError: it says that the call fails.
    """
    return _row(case, reason, case.guess.language)


def _laws(case: Case) -> Iterator[Law]:
    guess = case.guess
    if guess.abstention is not None:
        yield from _abstained(case, REASON_OF_ABSTENTION[guess.abstention])
    for language in dict.fromkeys((guess.language, _hinted(case))):
        if language is None:
            continue
        calibration = case.deciding(language)
        if calibration is None:
            yield _row(case, Reason.NO_CALIBRATION, language)
        else:
            yield _under(case, calibration)


def _abstained(case: Case, reason: Reason) -> Iterator[Law]:
    """The laws of a text whose language is not known; the champions' alone."""
    if case.policy.outcome(reason, tenant=case.tenant) is not Outcome.STRICTEST:
        yield _row(case, reason, None)
        return
    for calibration in case.bundle.calibrations.values():
        yield Law(reason, None, _STRICTEST, calibration)
    if not case.bundle.calibrations:
        # nothing says that the text is harmless
        yield Law(reason, None, {Action.NONE: Ruling(Action.STEER)})


def _hinted(case: Case) -> str | None:
    """The hint, or its language alone where only that is calibrated: `en` for `en-GB`."""
    if case.hint is None or case.deciding(case.hint) is not None:
        return case.hint
    language = case.hint.partition("-")[0]
    return language if case.deciding(language) is not None else case.hint


def _under(case: Case, calibration: Calibration) -> Law:
    """The law of a calibration, if the prompt is in its language."""
    language = calibration.language
    if _is_stale(calibration, case):
        return _row(case, Reason.CALIBRATION_STALE, language, calibration)
    return Law(Reason.SCORE, language, _BY_SCORE, calibration)


def _row(
    case: Case, reason: Reason, language: str | None, calibration: Calibration | None = None
) -> Law:
    """The law that the policy table gives; with a calibration, of its score.

    Raises:
        ServiceError: the row says that the call fails.
    """
    outcome = case.policy.outcome(reason, language=language, tenant=case.tenant)
    if outcome is Outcome.FAIL:
        raise _failure(case, reason, language)
    bypassed = case.policy.is_bypass(reason, outcome)
    if calibration is None:
        return Law(reason, language, {Action.NONE: Ruling(_action(outcome, None), bypassed)})
    rulings = {each: Ruling(_action(outcome, each), bypassed) for each in _BY_SCORE}
    return Law(reason, language, rulings, calibration)


def _action(outcome: Outcome, by_score: Action | None) -> Action:
    """What an outcome does, where a score says something and where none does."""
    if outcome is Outcome.NO_RELEASE:
        return Action.NONE if by_score in (None, Action.RELEASE) else by_score
    if outcome is Outcome.ALLOW and by_score is not None:
        return by_score
    return _ACTIONS[outcome]


def _is_stale(calibration: Calibration, case: Case) -> bool:
    """True when it is older than the policy allows; one whose age cannot be told is, too."""
    if case.policy.max_calibration_age_s is None:
        return False
    try:
        created = calibration.created_at
    except ValueError:
        return True
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
