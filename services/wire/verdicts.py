"""Language guesses, verdicts, gate readings and interventions, in both directions."""

from __future__ import annotations

from services.domain import (
    Abstention,
    Action,
    GateReading,
    Intervention,
    LanguageGuess,
    Reason,
    Verdict,
)
from services.errors import InvalidRequest
from services.pb import recal_pb2 as pb
from services.wire.enums import from_wire, to_wire


def from_guess(guess: LanguageGuess) -> pb.LanguageGuess:
    """A language guess as the wire carries it."""
    return pb.LanguageGuess(
        language=guess.language or "",
        confidence=guess.confidence,
        abstention=None if guess.abstention is None else to_wire(guess.abstention),
        candidates=guess.candidates,
    )


def guess_of(guess: pb.LanguageGuess) -> LanguageGuess:
    """A language guess from the wire.

    Raises:
        InvalidRequest: neither or both of language and abstention, or a confidence outside [0, 1].
    """
    if not 0.0 <= guess.confidence <= 1.0:
        raise InvalidRequest(f"`guess.confidence` is {guess.confidence}; give 0 to 1")
    if bool(guess.language) == bool(guess.abstention):
        raise InvalidRequest(
            "`guess` sets neither or both of `language` and `abstention`; set exactly one"
        )
    abstained = guess.abstention != 0
    return LanguageGuess(
        language=guess.language or None,
        confidence=guess.confidence,
        abstention=from_wire(Abstention, guess.abstention, "abstention") if abstained else None,
        candidates=tuple(guess.candidates),
    )


def from_verdict(verdict: Verdict, *, with_score: bool) -> pb.Verdict:
    """A verdict as the wire carries it; score and threshold only where the caller may see them."""
    return pb.Verdict(
        action=to_wire(verdict.action),
        reason=to_wire(verdict.reason),
        language=verdict.language or "",
        readout_version=verdict.readout_version,
        calibration_version=verdict.calibration_version or "",
        bypassed=verdict.bypassed,
        score=verdict.score if with_score else None,
        threshold=verdict.threshold if with_score else None,
    )


def verdict_of(verdict: pb.Verdict) -> Verdict:
    """A verdict from the wire.

    Raises:
        InvalidRequest: action or reason is not set.
    """
    return Verdict(
        action=from_wire(Action, verdict.action, "verdict.action"),
        reason=from_wire(Reason, verdict.reason, "verdict.reason"),
        language=verdict.language or None,
        readout_version=verdict.readout_version,
        calibration_version=verdict.calibration_version or None,
        score=verdict.score if verdict.HasField("score") else None,
        threshold=verdict.threshold if verdict.HasField("threshold") else None,
        bypassed=verdict.bypassed,
    )


def from_reading(reading: GateReading) -> pb.GateCheckResponse:
    """A gate reading as the wire carries it, scores included: the gate's callers are ours."""
    return pb.GateCheckResponse(
        verdict=from_verdict(reading.verdict, with_score=True),
        n_prompt_tokens=reading.n_prompt_tokens,
        timings_s=dict(reading.timings_s),
    )


def reading_of(response: pb.GateCheckResponse) -> GateReading:
    """A gate reading from the wire.

    Raises:
        InvalidRequest: there is no verdict in it.
    """
    if not response.HasField("verdict"):
        raise InvalidRequest("`verdict` is not set; every answer of the gate has one")
    return GateReading(
        verdict_of(response.verdict), response.n_prompt_tokens, dict(response.timings_s)
    )


def from_intervention(intervention: Intervention) -> pb.Intervention:
    """An intervention as the wire carries it."""
    return pb.Intervention(
        action=to_wire(intervention.action),
        readout_version=intervention.readout_version,
        calibration_version=intervention.calibration_version or "",
    )


def intervention_of(request: pb.GenerationGenerateRequest) -> Intervention:
    """The intervention that a generation request must carry.

    Raises:
        InvalidRequest: it is not set, its action is not set, or it edits without a readout.
    """
    if not request.HasField("intervention"):
        raise InvalidRequest("`intervention` is not set; generation does nothing by default")
    intervention = request.intervention
    action = from_wire(Action, intervention.action, "intervention.action")
    if action in (Action.STEER, Action.RELEASE) and not intervention.readout_version:
        raise InvalidRequest(
            f"`intervention.readout_version` is empty; {to_wire(action)} needs the readout "
            "whose direction it uses"
        )
    return Intervention(
        action, intervention.readout_version, intervention.calibration_version or None
    )
