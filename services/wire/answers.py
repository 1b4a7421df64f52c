"""Answers and descriptions: frames of text, usage, calibrations, what is served."""

from __future__ import annotations

from services.domain import (
    CalibrationSummary,
    CandidateRole,
    CandidateSummary,
    FinishReason,
    GateDescription,
    GateReading,
    MonitorStop,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import InvalidRequest
from services.pb import recal_pb2 as pb
from services.wire.enums import from_wire, to_wire
from services.wire.verdicts import from_reading, from_verdict, reading_of, verdict_of


def from_usage(usage: Usage) -> pb.Usage:
    """Usage as the wire carries it."""
    return pb.Usage(
        n_prompt_tokens=usage.n_prompt_tokens,
        n_generated_tokens=usage.n_generated_tokens,
        finish_reason=to_wire(usage.finish),
        timings_s=dict(usage.timings_s),
        withdrawn_by=None if usage.withdrawn_by is None else to_wire(usage.withdrawn_by),
        replacement=usage.replacement,
    )


def usage_of(usage: pb.Usage) -> Usage:
    """Usage from the wire.

    Raises:
        InvalidRequest: it does not say why the text ended, or not why it is withdrawn.
    """
    finish = from_wire(FinishReason, usage.finish_reason, "usage.finish_reason")
    withdrawn_by = None
    if finish is FinishReason.MONITOR:
        withdrawn_by = from_wire(MonitorStop, usage.withdrawn_by, "usage.withdrawn_by")
    return Usage(
        n_prompt_tokens=usage.n_prompt_tokens,
        n_generated_tokens=usage.n_generated_tokens,
        finish=finish,
        timings_s=dict(usage.timings_s),
        withdrawn_by=withdrawn_by,
        replacement=usage.replacement,
    )


def from_frame(frame: Verdict | TextChunk | Usage, *, with_score: bool) -> pb.RecalGenerateResponse:
    """One frame of the front door's answer."""
    if isinstance(frame, Verdict):
        return pb.RecalGenerateResponse(verdict=from_verdict(frame, with_score=with_score))
    if isinstance(frame, TextChunk):
        return pb.RecalGenerateResponse(text=frame.text)
    return pb.RecalGenerateResponse(usage=from_usage(frame))


def frame_of(response: pb.RecalGenerateResponse) -> Verdict | TextChunk | Usage:
    """One frame of the front door's answer, from the wire.

    Raises:
        InvalidRequest: the frame is empty.
    """
    match response.WhichOneof("frame"):
        case "verdict":
            return verdict_of(response.verdict)
        case "text":
            return TextChunk(response.text, n_tokens=0)
        case "usage":
            return usage_of(response.usage)
    raise InvalidRequest("`frame` is not set; give a verdict, text or usage")


def from_generation_frame(frame: TextChunk | Usage) -> pb.GenerationGenerateResponse:
    """One frame as the generation service sends it."""
    if isinstance(frame, TextChunk):
        return pb.GenerationGenerateResponse(text=frame.text)
    return pb.GenerationGenerateResponse(usage=from_usage(frame))


def chunk_of(response: pb.GenerationGenerateResponse) -> TextChunk:
    """A frame of the generation service; tokens are counted on the last one.

    Raises:
        InvalidRequest: the frame is empty.
    """
    match response.WhichOneof("frame"):
        case "text":
            return TextChunk(response.text, n_tokens=0)
        case "usage":
            return _last_chunk(response.usage)
    raise InvalidRequest("`frame` is not set; give text or usage")


def from_fused_frame(frame: GateReading | TextChunk | Usage) -> pb.FusedGenerateResponse:
    """One frame as the fused service sends it, scores included: its callers are ours."""
    if isinstance(frame, GateReading):
        return pb.FusedGenerateResponse(reading=from_reading(frame))
    if isinstance(frame, TextChunk):
        return pb.FusedGenerateResponse(text=frame.text)
    return pb.FusedGenerateResponse(usage=from_usage(frame))


def fused_frame_of(response: pb.FusedGenerateResponse) -> GateReading | TextChunk:
    """A frame of the fused service; tokens are counted on the last one.

    Raises:
        InvalidRequest: the frame is empty, or holds a reading without a verdict.
    """
    match response.WhichOneof("frame"):
        case "reading":
            return reading_of(response.reading)
        case "text":
            return TextChunk(response.text, n_tokens=0)
        case "usage":
            return _last_chunk(response.usage)
    raise InvalidRequest("`frame` is not set; give a reading, text or usage")


def _last_chunk(usage: pb.Usage) -> TextChunk:
    told = usage_of(usage)
    return TextChunk(
        "",
        told.n_generated_tokens,
        told.finish,
        told.n_prompt_tokens,
        told.timings_s,
        told.withdrawn_by,
    )


def from_calibration(summary: CalibrationSummary) -> pb.CalibrationSummary:
    """What a caller may know of a calibration."""
    return pb.CalibrationSummary(
        language=summary.language,
        version=summary.version,
        estimator=summary.estimator,
        k=summary.k,
        created=summary.created,
        readout_version=summary.readout_version,
        own_readout=summary.own_readout,
    )


def calibration_of(summary: pb.CalibrationSummary) -> CalibrationSummary:
    """What a caller may know of a calibration, from the wire."""
    return CalibrationSummary(
        language=summary.language,
        version=summary.version,
        estimator=summary.estimator,
        k=summary.k,
        created=summary.created,
        readout_version=summary.readout_version,
        own_readout=summary.own_readout,
    )


def from_candidate(summary: CandidateSummary) -> pb.CandidateSummary:
    """What a caller may know of a calibration that is tried."""
    return pb.CandidateSummary(
        calibration=from_calibration(summary.calibration),
        role=to_wire(summary.role),
        share=summary.share,
    )


def candidate_of(summary: pb.CandidateSummary) -> CandidateSummary:
    """What a caller may know of a calibration that is tried, from the wire.

    Raises:
        InvalidRequest: its role is not set, or none that this software knows.
    """
    role = from_wire(CandidateRole, summary.role, "candidates.role")
    return CandidateSummary(calibration_of(summary.calibration), role, summary.share)


def from_description(description: GateDescription) -> pb.GateDescribeResponse:
    """What the gate holds, as the wire carries it."""
    return pb.GateDescribeResponse(
        model=description.model,
        model_digest=description.model_digest,
        readout_version=description.readout_version,
        max_prompt_tokens=description.max_prompt_tokens,
        calibrations=[from_calibration(each) for each in description.calibrations],
        notice=description.notice,
        candidates=[from_candidate(each) for each in description.candidates],
    )


def description_of(response: pb.GateDescribeResponse) -> GateDescription:
    """What the gate holds, from the wire."""
    return GateDescription(
        model=response.model,
        model_digest=response.model_digest,
        readout_version=response.readout_version,
        max_prompt_tokens=response.max_prompt_tokens,
        calibrations=tuple(calibration_of(each) for each in response.calibrations),
        notice=response.notice,
        candidates=tuple(candidate_of(each) for each in response.candidates),
    )


def from_info(
    description: GateDescription, *, software_version: str, mode: str
) -> pb.GetInfoResponse:
    """What is served, as a caller of the front door sees it."""
    return pb.GetInfoResponse(
        model=description.model,
        model_digest=description.model_digest,
        readout_version=description.readout_version,
        languages=[each.language for each in description.calibrations],
        software_version=software_version,
        mode=mode,
        max_prompt_tokens=description.max_prompt_tokens,
        notice=description.notice,
    )
