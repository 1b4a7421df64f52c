"""The generation service: a prompt to streamed text under an intervention."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import AsyncGenerator
from typing import Protocol

from services.backbone.encoder import PromptEncoder
from services.backbone.load import Backbone
from services.domain import Action, Intervention, Sampling, TextChunk
from services.errors import (
    ArtefactRefused,
    DeadlinePassed,
    InvalidRequest,
    PromptTooLong,
    ServiceError,
    VersionMismatch,
)
from services.generation.engine import Engine, EngineLimits, Request, Settled
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Readout
from services.telemetry import QUEUE_DEPTH, Meter

_MAX_TEMPERATURE = 2.0
_MAX_STOPS = 16
_MAX_STOP_CHARACTERS = 256
_SEEDS = 2**64


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
    ) -> None:
        """Generate with the given backbone; nothing else may run it meanwhile.

        Args:
            backbone: the whole model.
            readouts: holds the directions that verdicts name.
            meter: where the queue's depth is written.
            limits: how much is generated at once.
        """
        self._backbone = backbone
        self._readouts = readouts
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
        now = asyncio.get_running_loop().time()
        deadline = math.inf if timeout_s is None else now + timeout_s
        check_sampling(sampling)
        treatment = self._treatment(intervention)
        prompt_ids = await self._encode(prompt, sampling)
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
        self._engine.submit(request)
        try:
            while True:
                answer = await request.answers.get()
                if isinstance(answer, ServiceError):
                    raise answer
                if isinstance(answer, Settled):
                    raise ServiceError(
                        "a request that came with its verdict was decided again; nothing is sent"
                    )
                yield answer
                if answer.finish is not None:
                    return
        finally:
            self._engine.give_up(request)

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
        try:
            treatment = Treatment(action, readout.steering)
        except ValueError as error:
            raise ArtefactRefused(f"readout `{readout.version}` cannot be used: {error}") from None
        last = max((move.layer for move in treatment.moves), default=0)
        if last >= len(self._backbone.blocks):
            raise VersionMismatch(
                f"readout `{readout.version}` acts on block {last}, and "
                f"`{self._backbone.identity.name}` has {len(self._backbone.blocks)}"
            )
        return treatment

    async def _encode(self, prompt: str, sampling: Sampling) -> list[int]:
        prompt_ids = (await self._encoder.encode(prompt)).token_ids
        context = self._backbone.max_prompt_tokens
        if len(prompt_ids) + sampling.max_tokens > context:
            raise PromptTooLong(
                f"the prompt has {len(prompt_ids)} tokens and `max_tokens` is "
                f"{sampling.max_tokens}; together at most {context} fit the context of "
                f"`{self._backbone.identity.name}`: shorten the prompt or lower `max_tokens`"
            )
        return prompt_ids


def check_sampling(sampling: Sampling) -> None:
    """Raise unless the sampling makes sense.

    Raises:
        InvalidRequest: a value is out of range; the message names it.
    """
    if sampling.max_tokens < 1:
        raise InvalidRequest(f"`max_tokens` is {sampling.max_tokens}; give at least 1")
    if not 0.0 <= sampling.temperature <= _MAX_TEMPERATURE:
        raise InvalidRequest(
            f"`temperature` is {sampling.temperature}; give 0 (greedy) to {_MAX_TEMPERATURE:g}"
        )
    if not 0.0 < sampling.top_p <= 1.0:
        raise InvalidRequest(f"`top_p` is {sampling.top_p}; give more than 0, at most 1")
    if sampling.seed is not None and not 0 <= sampling.seed < _SEEDS:
        raise InvalidRequest(f"`seed` is {sampling.seed}; give 0 to 2^64 - 1")
    if len(sampling.stop) > _MAX_STOPS:
        raise InvalidRequest(f"{len(sampling.stop)} stop strings; give at most {_MAX_STOPS}")
    if not all(1 <= len(stop) <= _MAX_STOP_CHARACTERS for stop in sampling.stop):
        raise InvalidRequest(
            f"a stop string is empty or long; give 1 to {_MAX_STOP_CHARACTERS} characters each"
        )


def end_tokens(backbone: Backbone) -> frozenset[int]:
    """The tokens that end a text: the generation config's, otherwise the tokenizer's."""
    config = getattr(backbone.model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    if named is None:
        named = backbone.tokenizer.eos_token_id
    if named is None:
        return frozenset()
    return frozenset([named] if isinstance(named, int) else named)
