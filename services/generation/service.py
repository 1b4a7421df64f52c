"""The generation service: a prompt to streamed text under an intervention."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from services.backbone.encoder import PromptEncoder
from services.backbone.load import Backbone
from services.domain import Action, Intervention, Sampling, TextChunk
from services.errors import DeadlinePassed, InvalidRequest, ServiceError
from services.generation.engine import Engine, EngineLimits, Request, Settled
from services.generation.intake import check_room, check_sampling, end_tokens, treatment_under
from services.generation.row import Row
from services.generation.timings import timed
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Readout
from services.telemetry import QUEUE_DEPTH, Meter


class HeldReadouts(Protocol):
    """Where generation finds directions; `services.readout.store.BundleStore` is one."""

    def readout(self, version: str) -> Readout:
        """The current or the previous readout.

        Raises:
            NotReady: none is loaded.
            VersionMismatch: this one is not.
        """


class GenerationService:
    """Knows neither Ray nor gRPC. Lives in one event loop; the model runs in its own thread."""

    def __init__(
        self,
        backbone: Backbone,
        readouts: HeldReadouts,
        meter: Meter,
        *,
        limits: EngineLimits | None = None,
        frame_s: float = 0.0,
    ) -> None:
        """Generate with the given backbone; nothing else may run it meanwhile.

        Args:
            backbone: the whole model.
            readouts: holds the directions that verdicts name.
            meter: where the queue's depth and the time of each stage are written.
            limits: how much is generated at once.
            frame_s: seconds between two pieces of a text, its first and last left out; 0: each goes
                as it comes.
        """
        self._backbone = backbone
        self._readouts = readouts
        self._meter = meter
        self._frame_s = frame_s
        # decoding runs in another thread than encoding, and a fast tokenizer is not shared by two
        self._decoder = copy.deepcopy(backbone.tokenizer)
        self._ends = end_tokens(backbone)
        self._encoder = PromptEncoder(backbone.tokenizer, name="generation-tokenizer")
        self._engine = Engine(
            backbone,
            limits=limits or EngineLimits(),
            on_depth=lambda depth: meter.gauge(QUEUE_DEPTH, depth, service="generation"),
        )

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Generate text; the last chunk carries `finish`. Closing the stream frees its place.

        Args:
            prompt: the user's prompt, as plain text.
            intervention: what is done to the model, by which readout.
            sampling: how tokens are chosen.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            InvalidRequest: the sampling makes no sense, or the intervention is a refusal.
            PromptTooLong: prompt and answer do not fit the context.
            VersionMismatch: the readout that the intervention names is not loaded.
            Overloaded: too many requests wait already.
            DeadlinePassed: time ran out, perhaps in the middle of the text.
            ServiceError: the model failed.
        """
        if timeout_s is not None and timeout_s <= 0:
            raise DeadlinePassed("the deadline passed before generation began; allow more time")
        started = asyncio.get_running_loop().time()
        deadline = math.inf if timeout_s is None else started + timeout_s
        check_sampling(sampling)
        treatment = self._treatment(intervention)
        prompt_ids = await self._encode(prompt, sampling, timeout_s)
        request = Request(
            Row(
                prompt_ids,
                treatment,
                sampling,
                tokenizer=self._decoder,
                ends=self._ends,
                deadline=deadline,
            )
        )
        async with aclosing(self._engine.answers(request, every_s=self._frame_s)) as answers:
            async for answer in answers:
                if isinstance(answer, Settled):
                    raise ServiceError(
                        "a request that came with its verdict was decided again; nothing is sent"
                    )
                yield timed(answer, request, started, self._meter)

    async def close(self) -> None:
        """End the step that runs; every request that has not ended fails."""
        self._encoder.close()
        await self._engine.close()

    def _treatment(self, intervention: Intervention) -> Treatment:
        action = intervention.action
        if action is Action.NONE:
            return UNTOUCHED
        if action is Action.REFUSE:
            raise InvalidRequest(
                "`refuse` is no intervention; answer it with the fixed refusal instead"
            )
        if not intervention.readout_version:
            raise InvalidRequest(f"`{action.value}` must name a readout version")
        readout = self._readouts.readout(intervention.readout_version)
        return treatment_under(readout, action, self._backbone)

    async def _encode(self, prompt: str, sampling: Sampling, timeout_s: float | None) -> list[int]:
        encoded = await self._encoder.encode(prompt, timeout_s=timeout_s)
        check_room(encoded, sampling, self._backbone)
        return encoded.token_ids
