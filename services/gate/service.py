"""The gate: a prompt to a verdict, by hidden states of one pass and one bundle."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import torch

from services.backbone.buckets import tokens_of_a_pass
from services.backbone.chat import EncodedPrompt
from services.backbone.encoder import PromptEncoder
from services.backbone.load import Backbone
from services.crash import whereabouts
from services.domain import GateDescription, GateReading, GateRequest
from services.errors import NotReady, PromptTooLong, ServiceError, VersionMismatch
from services.gate.batcher import Batcher, BatchLimits, Timed
from services.gate.counted import count_shadow, count_verdict
from services.gate.decide import decide, decide_without_time
from services.gate.described import describe
from services.gate.extract import residuals
from services.gate.law import Case, case_of
from services.gate.policy import Policy
from services.readout.bundle import Bundle
from services.readout.scores import Scores, score_all
from services.telemetry import QUEUE_DEPTH, STAGE_SECONDS, Meter

log = logging.getLogger(__name__)

T = TypeVar("T")

_WARM_UP = "How do I bake a loaf of bread at home without an oven? " * 2
_WAVES = 2
"""Batches of one `batch_check` at once: one runs, the next is ready."""


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


@dataclass(frozen=True, eq=False)
class _Asked:
    """A request on its way to a verdict."""

    case: Case
    prompt: EncodedPrompt | None = field(repr=False)
    """None: there was no time to encode it."""
    started: float
    """By `time.perf_counter`."""
    deadline: float
    """On the event loop's clock."""


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
        self._limits = limits or BatchLimits()
        if self._limits.max_tokens is None:
            suits = tokens_of_a_pass(backbone.device)
            self._limits = replace(self._limits, max_tokens=suits)
        self._batcher: Batcher[_Unscored, Scores] = Batcher(
            self._score,
            n_tokens=lambda unscored: len(unscored.prompt.token_ids),
            limits=self._limits,
            on_depth=lambda depth: meter.gauge(QUEUE_DEPTH, depth, service="gate"),
            name="gate-model",
            thread=thread,
        )

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        """Decide on one prompt.

        Args:
            request: the user's prompt as plain text, and what its caller says about it.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            PromptTooLong: the rendered prompt does not fit the context.
            NotReady: no bundle is loaded.
            Overloaded: too many prompts wait already.
            DeadlinePassed: there was no time left.
            ServiceError: a row of the policy table says that the call fails, or the model failed.
        """
        return await self._decide(
            await self._ask(request, self._store.current, _deadline(timeout_s))
        )

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts under one bundle; the first failure ends the work on them all.

        Prompts of like length fill whole batches. At most two batches' worth of them wait at once,
        so that single prompts of others join between them.

        Args:
            requests: the prompts; answers come in their order.
            timeout_s: time that is left of the caller's deadline; none of them runs after it.

        Raises:
            ServiceError: as `check` does.
        """
        bundle, n = self._store.current, self._limits.max_batch
        # like lengths share a pass; characters say enough of that before anything is tokenised
        order = sorted(range(len(requests)), key=lambda index: len(requests[index].prompt))
        deadline, room = _deadline(timeout_s), asyncio.Semaphore(_WAVES * n)
        found: dict[int, asyncio.Task[GateReading]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(order), n):
                    wave = {}
                    for index in order[start : start + n]:
                        await room.acquire()
                        wave[index] = await _of(index, self._ask(requests[index], bundle, deadline))
                    for index, asked in wave.items():
                        found[index] = group.create_task(_of(index, self._decide(asked)))
                        found[index].add_done_callback(lambda _: room.release())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [found[index].result() for index in range(len(requests))]

    async def describe(self) -> GateDescription:
        """Say what is loaded.

        Raises:
            NotReady: no bundle is loaded.
        """
        return describe(self._backbone, self._store.current, notice=self._notice)

    async def warm_up(self) -> None:
        """Run the model once with a single prompt and once with a whole batch, and count neither.

        The first pass of a process is slower than all others: kernels are chosen, memory is taken.

        Raises:
            ServiceError: the model cannot run.
        """
        try:
            bundle = self._store.current
        except NotReady:
            return  # nothing says yet what is read
        prompt = await self._encode(_WARM_UP, None)
        for n in (1, self._limits.max_batch):
            started = time.perf_counter()
            await asyncio.gather(*(self._scores_of(prompt, bundle, None) for _ in range(n)))
            log.info("warm-up: %d prompts in %.3f s", n, time.perf_counter() - started)

    async def close(self) -> None:
        """End the batch that runs, turn away what waits."""
        self._encoder.close()
        await self._batcher.close()

    async def _ask(self, request: GateRequest, bundle: Bundle, deadline: float) -> _Asked:
        """A request with its prompt encoded; without, where no time is left for that."""
        started = time.perf_counter()
        case = case_of(request, bundle, self._policy, self._clock())
        prompt = None
        if deadline > asyncio.get_running_loop().time():
            prompt = await self._encode(request.prompt, _left_s(deadline))
        return _Asked(case, prompt, started, deadline)

    async def _decide(self, asked: _Asked) -> GateReading:
        loop = asyncio.get_running_loop()
        bundle, prompt = asked.case.bundle, asked.prompt
        scores: Timed[Scores] | None = None
        if prompt is not None and asked.deadline - loop.time() >= self._policy.min_time_left_s:
            scores = await self._scores_of(prompt, bundle, _left_s(asked.deadline))
        # not the event loop's clock: uvloop's, which Serve has, counts whole milliseconds
        scored = time.perf_counter()
        if scores is None:
            verdict = decide_without_time(asked.case)
        else:
            verdict = decide(asked.case, scores.result)
        decided = time.perf_counter()
        count_verdict(self._meter, verdict, bundle)
        if scores is not None:
            count_shadow(self._meter, asked.case, scores.result)
        run_s = 0.0 if scores is None else scores.run_s
        timings_s = {"gate_queue": max(0.0, scored - asked.started - run_s)}
        timings_s |= {} if scores is None else {"gate_pass": run_s}
        timings_s |= {"verdict": decided - scored}
        for stage, seconds in timings_s.items():
            self._meter.observe(STAGE_SECONDS, seconds, stage=stage)
        return GateReading(verdict, len(prompt.token_ids) if prompt else 0, timings_s)

    async def _encode(self, text: str, timeout_s: float | None) -> EncodedPrompt:
        prompt = await self._encoder.encode(text, timeout_s=timeout_s)
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
                max_tokens=self._limits.max_tokens,
            )
            with torch.inference_mode():
                scores |= zip(rows, score_all(bundle, found), strict=True)
        return [scores[row] for row in range(len(batch))]


def _deadline(timeout_s: float | None) -> float:
    """On the event loop's clock."""
    return math.inf if timeout_s is None else asyncio.get_running_loop().time() + timeout_s


def _left_s(deadline: float) -> float | None:
    """Seconds until then; None for ever."""
    return None if deadline == math.inf else deadline - asyncio.get_running_loop().time()


async def _of(index: int, work: Awaitable[T]) -> T:
    """Work on one request of many; an error names it."""
    try:
        return await work
    except ServiceError as error:
        raise type(error)(f"`requests[{index}]`: {error}") from None
