"""The gate: a prompt to a verdict, by hidden states of one pass and one bundle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import torch

from services.backbone.chat import EncodedPrompt
from services.backbone.encoder import PromptEncoder
from services.backbone.load import Backbone
from services.crash import whereabouts
from services.domain import GateDescription, GateReading, GateRequest, LanguageGuess
from services.errors import PromptTooLong, ServiceError, VersionMismatch
from services.gate.batcher import Batcher, BatchLimits, Timed
from services.gate.counted import count_verdict
from services.gate.decide import decide, decide_without_time
from services.gate.extract import residuals
from services.gate.law import Case
from services.gate.policy import Policy
from services.readout.bundle import Bundle
from services.readout.scores import Scores, score_all
from services.telemetry import QUEUE_DEPTH, STAGE_SECONDS, Meter

log = logging.getLogger(__name__)


class CurrentBundle(Protocol):
    """Where the gate finds what was learned; `services.readout.store.BundleStore` is one."""

    @property
    def current(self) -> Bundle:
        """The bundle that serves now.

        Raises:
            NotReady: none is loaded.
        """


@dataclass(frozen=True, eq=False)
class _Unscored:
    """A prompt on its way through the model, with the bundle that is to score it."""

    prompt: EncodedPrompt = field(repr=False)
    bundle: Bundle = field(repr=False)


class GateService:
    """Knows neither Ray nor gRPC. Lives in one event loop; the model runs in its own thread."""

    def __init__(
        self,
        backbone: Backbone,
        store: CurrentBundle,
        policy: Policy,
        meter: Meter,
        *,
        limits: BatchLimits | None = None,
        notice: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        thread: Executor | None = None,
    ) -> None:
        """Read with the given backbone; nothing else may run it meanwhile.

        Args:
            backbone: the model, whole or truncated behind the last block that is read.
            store: holds the current bundle.
            policy: what happens where there is no score to go by.
            meter: where verdicts are counted.
            limits: of the batches.
            notice: what the model is, where it is not a production model.
            clock: the time that a calibration's age is counted to.
            thread: the one that runs the model, where others run it too, who close it.
        """
        self._backbone = backbone
        self._store = store
        self._policy = policy
        self._meter = meter
        self._notice = notice
        self._clock = clock
        self._encoder = PromptEncoder(backbone.tokenizer, name="gate-tokenizer")
        self._batcher: Batcher[_Unscored, Scores] = Batcher(
            self._score,
            n_tokens=lambda unscored: len(unscored.prompt.token_ids),
            limits=limits or BatchLimits(),
            on_depth=lambda depth: meter.gauge(QUEUE_DEPTH, depth, service="gate"),
            name="gate-model",
            thread=thread,
        )

    async def check(
        self,
        prompt: str,
        guess: LanguageGuess,
        *,
        hint: str | None = None,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> GateReading:
        """Decide on one prompt.

        Args:
            prompt: the user's prompt, as plain text.
            guess: what language identification said.
            hint: the caller's BCP 47 tag; stricter only.
            tenant: whose policy rows count.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            PromptTooLong: the rendered prompt does not fit the context.
            NotReady: no bundle is loaded.
            Overloaded: too many prompts wait already.
            DeadlinePassed: there was no time left.
            ServiceError: a row of the policy table says that the call fails, or the model failed.
        """
        request = GateRequest(prompt, guess, hint, tenant)
        return await self._check(request, self._store.current, timeout_s)

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts under one bundle, in order; the first failure fails them all.

        Raises:
            ServiceError: as `check` does.
        """
        bundle = self._store.current
        readings = await asyncio.gather(
            *(self._check(request, bundle, timeout_s) for request in requests),
            return_exceptions=True,
        )
        for index, reading in enumerate(readings):
            if isinstance(reading, ServiceError):
                raise type(reading)(f"`requests[{index}]`: {reading}") from None
            if isinstance(reading, BaseException):
                raise reading
        return [reading for reading in readings if isinstance(reading, GateReading)]

    async def describe(self) -> GateDescription:
        """Say what is loaded.

        Raises:
            NotReady: no bundle is loaded.
        """
        bundle = self._store.current
        version = bundle.readout.version
        return GateDescription(
            model=self._backbone.identity.name,
            model_digest=self._backbone.identity.weights_digest,
            readout_version=version,
            max_prompt_tokens=self._backbone.max_prompt_tokens,
            calibrations=tuple(
                bundle.calibrations[language].summary(version)
                for language in sorted(bundle.calibrations)
            ),
            notice=self._notice,
        )

    async def close(self) -> None:
        """End the batch that runs, turn away what waits."""
        self._encoder.close()
        await self._batcher.close()

    async def _check(
        self, request: GateRequest, bundle: Bundle, timeout_s: float | None
    ) -> GateReading:
        loop = asyncio.get_running_loop()
        started = loop.time()
        case = Case(
            guess=request.guess,
            bundle=bundle,
            policy=self._policy,
            now=self._clock(),
            hint=request.hint,
            tenant=request.tenant,
        )
        prompt = await self._encode(request.prompt)
        left_s = None if timeout_s is None else timeout_s - (loop.time() - started)
        scores: Timed[Scores] | None = None
        if left_s is None or left_s >= self._policy.min_time_left_s:
            scores = await self._scores_of(prompt, bundle, left_s)
        scored = loop.time()
        verdict = decide_without_time(case) if scores is None else decide(case, scores.result)
        decided = loop.time()
        count_verdict(self._meter, verdict, bundle)
        run_s = 0.0 if scores is None else scores.run_s
        timings_s = {"gate_queue": max(0.0, scored - started - run_s)}
        timings_s |= {} if scores is None else {"gate_pass": run_s}
        timings_s |= {"verdict": decided - scored}
        for stage, seconds in timings_s.items():
            self._meter.observe(STAGE_SECONDS, seconds, stage=stage)
        return GateReading(verdict, len(prompt.token_ids), timings_s)

    async def _encode(self, text: str) -> EncodedPrompt:
        prompt = await self._encoder.encode(text)
        limit = self._backbone.max_prompt_tokens
        if len(prompt.token_ids) > limit:
            raise PromptTooLong(
                f"the prompt has {len(prompt.token_ids)} tokens, "
                f"`{self._backbone.identity.name}` takes at most {limit}; shorten it"
            )
        return prompt

    async def _scores_of(
        self, prompt: EncodedPrompt, bundle: Bundle, timeout_s: float | None
    ) -> Timed[Scores]:
        readout = bundle.readout
        if readout.deepest_layer >= len(self._backbone.blocks):
            raise VersionMismatch(
                f"readout `{readout.version}` reads block {readout.deepest_layer}, and the gate "
                f"holds only {len(self._backbone.blocks)}; restart the gate"
            )
        try:
            return await self._batcher.timed(_Unscored(prompt, bundle), timeout_s=timeout_s)
        except ServiceError:
            raise
        except Exception as error:
            log.error("the gate's model failed: %s", whereabouts(error))
            raise ServiceError(
                f"the gate could not score the prompt ({type(error).__name__}); see its log"
            ) from None

    def _score(self, batch: Sequence[_Unscored]) -> list[Scores]:
        """Scores of a batch; during a swap it may hold prompts of two bundles."""
        scores: dict[int, Scores] = {}
        for bundle in {id(unscored.bundle): unscored.bundle for unscored in batch}.values():
            rows = [i for i, unscored in enumerate(batch) if unscored.bundle is bundle]
            found = residuals(
                self._backbone,
                [batch[row].prompt for row in rows],
                places=bundle.readout.places,
            )
            with torch.inference_mode():
                scores |= zip(rows, score_all(bundle, found), strict=True)
        return [scores[row] for row in range(len(batch))]
