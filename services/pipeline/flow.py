"""The steps of the request flow that every mode shares: identify, check."""

from __future__ import annotations

import logging

from services.domain import (
    Abstention,
    Action,
    GateReading,
    LanguageGuess,
    Reason,
    Verdict,
)
from services.errors import (
    DeadlinePassed,
    InvalidRequest,
    NotReady,
    Overloaded,
    ServiceError,
    ServiceUnavailable,
)
from services.gate.policy import Outcome
from services.pipeline.ask import Ask, Behind
from services.pipeline.stages import Stages
from services.telemetry import ABSTENTIONS, BYPASSES, OTHER_LANGUAGE

log = logging.getLogger(__name__)


async def identify(ask: Ask, behind: Behind, stages: Stages) -> LanguageGuess:
    """Name the prompt's language; a service that is away or broken leaves it unknown.

    That is no way around the gate: an unknown language is a row of the policy table, strict by
    default, and each such request is counted as an abstention `unreachable`.
    """
    try:
        with stages.timed("language_id"):
            guess = await stages.within(
                lambda: behind.language_id.identify(ask.prompt), behind.language_id_timeout_s
            )
    except (InvalidRequest, Overloaded, DeadlinePassed):
        raise
    except Exception as error:
        log.warning("language identification failed: %s", type(error).__name__)
        behind.meter.count(ABSTENTIONS, abstention="unreachable")
        return LanguageGuess(None, confidence=0.0, abstention=Abstention.LOW_CONFIDENCE)
    if guess.abstention is not None:
        behind.meter.count(ABSTENTIONS, abstention=guess.abstention.value)
    return guess


async def check(ask: Ask, guess: LanguageGuess, behind: Behind, stages: Stages) -> GateReading:
    """Have the gate decide; what happens without it is a row of the policy table."""
    try:
        with stages.timed("gate"):
            reading = await stages.within(
                lambda: behind.gate.check(ask.of_gate(guess), timeout_s=stages.time_left_s())
            )
    except (ServiceUnavailable, NotReady) as error:
        return GateReading(without_gate(ask, guess, behind, error), n_prompt_tokens=0)
    stages.told("gate", reading.timings_s)
    return reading


def without_gate(ask: Ask, guess: LanguageGuess, behind: Behind, error: ServiceError) -> Verdict:
    """The verdict when the gate is away.

    Steering needs a readout that only the gate could name, so a row that says steer refuses.

    Raises:
        ServiceUnavailable: the row says fail, as the strict one does.
    """
    reason = Reason.GATE_UNREACHABLE
    outcome = behind.policy.outcome(reason, language=guess.language, tenant=ask.tenant)
    if outcome is Outcome.FAIL:
        raise ServiceUnavailable(f"no verdict, so nothing is generated: {error}")
    bypassed = outcome is Outcome.ALLOW
    if bypassed:
        # only of languages that the operator's rows name: a guess may be any of thousands
        named = {row.language for row in behind.policy.overrides}
        language = guess.language if guess.language in named else None
        behind.meter.count(BYPASSES, language=language or OTHER_LANGUAGE, reason=reason.value)
    return Verdict(
        action=Action.NONE if outcome is Outcome.ALLOW else Action.REFUSE,
        reason=reason,
        language=guess.language,
        readout_version="",
        bypassed=bypassed,
    )
