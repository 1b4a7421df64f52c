"""The services' RPCs: wire → service → wire. Knows no transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.domain import Action, GateReading, GateRequest, TextChunk, Usage
from services.errors import InvalidRequest, ServiceUnavailable
from services.pipeline.ask import Ask
from services.pipeline.clients import (
    FusedClient,
    GateClient,
    GenerationClient,
    LanguageIdClient,
    closing,
)
from services.pipeline.service import PipelineService
from services.rpc.call import Call
from services.wire import answers, messages, verdicts
from services.wire.methods import FUSED, GATE, GENERATION, LANGUAGE_ID, RECAL
from services.wire.prompts import (
    RequestLimits,
    hint_of,
    prompt_of,
    routing_key_of,
    sampling_of,
)

Frame = TypeVar("Frame", bound=GateReading)
"""What may come beside text: a reading from the fused service, nothing from generation."""


class Face(Protocol):
    """A service on the wire: one method per RPC, named as the RPC."""

    @property
    def service(self) -> str:
        """Full name, e.g. `recal.v1.Gate`."""


class BatchGate(GateClient, Protocol):
    """A gate that also takes many prompts at once."""

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts, in order."""


@dataclass(frozen=True)
class LanguageIdFace:
    """LanguageId on the wire."""

    language_id: LanguageIdClient
    limits: RequestLimits
    service: str = LANGUAGE_ID

    async def Identify(  # noqa: N802
        self, request: messages.IdentifyRequest, call: Call
    ) -> messages.IdentifyResponse:
        """Name the language of a text. No text at all is an abstention, not an error."""
        n_bytes = len(request.text.encode())
        if n_bytes > self.limits.max_prompt_bytes:
            raise InvalidRequest(
                f"`text` has {n_bytes} bytes, at most {self.limits.max_prompt_bytes} are taken; "
                "send a part of it"
            )
        guess = await self.language_id.identify(request.text)
        return messages.IdentifyResponse(guess=verdicts.from_guess(guess))


@dataclass(frozen=True)
class GateFace:
    """Gate on the wire. Its answers carry scores: it is for our own services."""

    gate: BatchGate
    limits: RequestLimits
    service: str = GATE

    async def Check(  # noqa: N802
        self, request: messages.GateCheckRequest, call: Call
    ) -> messages.GateCheckResponse:
        """Decide on one prompt."""
        asked = request_of(request, call, self.limits)
        reading = await self.gate.check(asked, timeout_s=call.time_left_s())
        return verdicts.from_reading(reading)

    async def BatchCheck(  # noqa: N802
        self, request: messages.GateBatchCheckRequest, call: Call
    ) -> messages.GateBatchCheckResponse:
        """Decide on many prompts; one bad prompt fails the batch, and the error says which."""
        if len(request.requests) > self.limits.max_batch:
            raise InvalidRequest(
                f"`requests` holds {len(request.requests)} prompts; "
                f"give at most {self.limits.max_batch}"
            )
        asked = []
        for index, each in enumerate(request.requests):
            try:
                asked.append(request_of(each, call, self.limits, index=index))
            except InvalidRequest as error:
                raise type(error)(f"`requests[{index}]`: {error}") from None
        readings = await self.gate.batch_check(asked, timeout_s=call.time_left_s())
        return messages.GateBatchCheckResponse(
            responses=[verdicts.from_reading(reading) for reading in readings]
        )

    async def Describe(  # noqa: N802
        self, request: messages.GateDescribeRequest, call: Call
    ) -> messages.GateDescribeResponse:
        """Say what is loaded."""
        return answers.from_description(await self.gate.describe())


def request_of(
    request: messages.GateCheckRequest, call: Call, limits: RequestLimits, *, index: int = 0
) -> GateRequest:
    """What the gate is to decide on.

    Args:
        request: as it came.
        call: that it came with; without a routing key, its id is one.
        limits: what may be asked for.
        index: of the request in its batch; so that each is drawn by itself.

    Raises:
        InvalidRequest: the prompt or the hint makes no sense, or no guess is set.
    """
    if not request.HasField("guess"):
        raise InvalidRequest("`guess` is not set; the gate decides under a language")
    return GateRequest(
        prompt=prompt_of(request.prompt, limits),
        guess=verdicts.guess_of(request.guess),
        hint=hint_of(request.language_hint),
        tenant=call.tenant,
        routing_key=routing_key_of(request.routing_key) or f"{call.request_id}/{index}",
    )


@dataclass(frozen=True)
class FusedFace:
    """Fused on the wire. Its answers carry scores: it is for our own services."""

    fused: FusedClient
    limits: RequestLimits
    service: str = FUSED

    async def Generate(  # noqa: N802
        self, request: messages.FusedGenerateRequest, call: Call
    ) -> AsyncIterator[messages.FusedGenerateResponse]:
        """Decide on one prompt and answer it: the reading, then text, last the usage."""
        frames = self.fused.generate(
            request_of(request.check, call, self.limits),
            sampling_of(request.sampling, self.limits),
            timeout_s=call.time_left_s(),
        )
        async with aclosing(_with_usage(frames)) as told:
            async for frame in told:
                yield answers.from_fused_frame(frame)


@dataclass(frozen=True)
class GenerationFace:
    """Generation on the wire."""

    generation: GenerationClient
    limits: RequestLimits
    service: str = GENERATION

    async def Generate(  # noqa: N802
        self, request: messages.GenerationGenerateRequest, call: Call
    ) -> AsyncIterator[messages.GenerationGenerateResponse]:
        """Generate text under the given intervention; last comes the usage."""
        chunks = self.generation.generate(
            prompt_of(request.prompt, self.limits),
            verdicts.intervention_of(request),
            sampling_of(request.sampling, self.limits),
            timeout_s=call.time_left_s(),
        )
        async with aclosing(_with_usage(chunks)) as told:
            async for frame in told:
                yield answers.from_generation_frame(frame)


async def _with_usage(
    chunks: AsyncIterator[Frame | TextChunk],
) -> AsyncGenerator[Frame | TextChunk | Usage, None]:
    """What a service says, as the wire tells it: empty pieces left out, last the usage.

    Raises:
        ServiceUnavailable: it broke off, and not because the prompt is refused.
    """
    n_tokens, is_refused = 0, False
    async with closing(chunks):
        async for chunk in chunks:
            if not isinstance(chunk, TextChunk):
                is_refused = chunk.verdict.action is Action.REFUSE
                yield chunk
                continue
            n_tokens += chunk.n_tokens
            if chunk.text:
                yield chunk
            if chunk.finish is not None:
                yield Usage(
                    chunk.n_prompt_tokens,
                    n_tokens,
                    chunk.finish,
                    chunk.timings_s,
                    chunk.withdrawn_by,
                )
                return
    if not is_refused:
        raise ServiceUnavailable(f"generation broke off after {n_tokens} tokens; retry")


@dataclass(frozen=True)
class RecalFace:
    """The front door on the wire."""

    pipeline: PipelineService
    limits: RequestLimits
    software_version: str
    debug_scores: bool = False
    """An operator lets callers who ask for it see scores."""
    service: str = RECAL

    async def Generate(  # noqa: N802
        self, request: messages.RecalGenerateRequest, call: Call
    ) -> AsyncIterator[messages.RecalGenerateResponse]:
        """Answer one prompt: the verdict, then text, last usage and timings."""
        sampling = sampling_of(request.sampling, self.limits)
        ask = self._ask(request, call)
        frames = self.pipeline.generate(ask, sampling, timeout_s=call.time_left_s())
        async with aclosing(frames):
            async for frame in frames:
                yield answers.from_frame(frame, with_score=self._with_score(call))

    async def Check(  # noqa: N802
        self, request: messages.RecalCheckRequest, call: Call
    ) -> messages.RecalCheckResponse:
        """Say what would be done with a prompt."""
        ask = self._ask(request, call)
        verdict = await self.pipeline.check(ask, timeout_s=call.time_left_s())
        return messages.RecalCheckResponse(
            verdict=verdicts.from_verdict(verdict, with_score=self._with_score(call))
        )

    async def ListCalibrations(  # noqa: N802
        self, request: messages.ListCalibrationsRequest, call: Call
    ) -> messages.ListCalibrationsResponse:
        """List the calibrations that are being served, and those that are tried beside them."""
        description = await self.pipeline.describe(timeout_s=call.time_left_s())
        return messages.ListCalibrationsResponse(
            calibrations=[answers.from_calibration(each) for each in description.calibrations],
            candidates=[answers.from_candidate(each) for each in description.candidates],
        )

    async def GetInfo(  # noqa: N802
        self, request: messages.GetInfoRequest, call: Call
    ) -> messages.GetInfoResponse:
        """Say what is being served."""
        return answers.from_info(
            await self.pipeline.describe(timeout_s=call.time_left_s()),
            software_version=self.software_version,
            mode=self.pipeline.mode,
        )

    def _ask(
        self, request: messages.RecalGenerateRequest | messages.RecalCheckRequest, call: Call
    ) -> Ask:
        return Ask(
            prompt=prompt_of(request.prompt, self.limits),
            hint=hint_of(request.language_hint),
            model=request.model,
            tenant=None,
            routing_key=routing_key_of(request.routing_key) or call.request_id,
            request_id=call.request_id,
        )

    def _with_score(self, call: Call) -> bool:
        return self.debug_scores and call.debug
