"""Continuous batching: requests join the running batch between two tokens and leave when they end.

Who joins, who leaves and what is sent is decided on the event loop; everything that touches the
model happens in one thread, one step at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from services.backbone.load import Backbone
from services.crash import whereabouts
from services.domain import Action, TextChunk
from services.errors import DeadlinePassed, Overloaded, ServiceError, ServiceUnavailable
from services.generation.budget import CacheBudget
from services.generation.decode import Batch, Decided, failure
from services.generation.frames import frames
from services.generation.row import Row
from services.generation.sampling import NO_TOKEN
from services.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What an undecided request's own prefill decided; comes before any text."""

    action: Action
    """`refuse`: nothing is generated, and nothing more comes."""


Answer = Settled | TextChunk | ServiceError
"""What a request receives: its decision where it had none, then text; or how it failed."""


@dataclass(frozen=True)
class EngineLimits:
    """How much is generated at once."""

    max_rows: int = 16
    """Requests decoded together."""
    max_waiting: int = 256
    """More waiting requests than this are turned away."""
    max_prefill_tokens: int = 256
    """Prompt tokens of one step, beside which running requests get their next token; a longer
    prompt takes several."""
    max_deciding_tokens: int = 1024
    """An undecided prompt of up to so many tokens takes one step all the same, which decides and
    treats it; a longer one is read before, by the blocks that decide. Where no request waits for
    its next token, any prompt may take a step of so many."""
    max_cache_bytes: int | None = None
    """What requests that run may hold together, keys and values of prompts and whole answers; None:
    half of what the model's device has left."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise ValueError(f"`{name}` is {value}; give at least 1")


def engine_limits(settings: Settings) -> EngineLimits:
    """How much is generated at once."""
    section = settings.generation
    return EngineLimits(
        max_rows=section.max_batch,
        max_waiting=section.max_queue,
        max_prefill_tokens=section.prefill_chunk,
        max_deciding_tokens=section.max_deciding_tokens,
        max_cache_bytes=None if section.cache_gib is None else int(section.cache_gib * 2**30),
    )


class _Outcome(NamedTuple):
    """What a step gave one request."""

    request: Request
    answer: Answer | None
    """None: a token, but no text yet."""


class Request:
    """A row with the way back to whoever asked. `answers` ends with a finish or an error."""

    def __init__(self, row: Row) -> None:
        """Wait for nothing yet."""
        self.row = row
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.is_over = False
        """True when nothing more will come: ended, failed or given up."""
        self.joined_at: float | None = None
        """When its prefill began, by `time.perf_counter`; uvloop's clock has whole milliseconds."""
        self.prefilled_at: float | None = None
        """When its first token was there, though perhaps no text yet."""

    def timings_s(self, since: float, until: float) -> dict[str, float]:
        """Seconds by stage between two times, from its being asked for to its last token."""
        joined = until if self.joined_at is None else self.joined_at
        prefilled = until if self.prefilled_at is None else self.prefilled_at
        return {
            "generation_queue": joined - since,
            "prefill": prefilled - joined,
            "decode": until - prefilled,
        }

    def give(self, answer: Answer) -> None:
        """Send an answer on."""
        if not self.is_over:
            self.answers.put_nowait(answer)
            self.is_over = _ends(answer)


def _ends(answer: Answer) -> bool:
    if isinstance(answer, Settled):
        return answer.action is Action.REFUSE
    return isinstance(answer, ServiceError) or answer.finish is not None


class Engine:
    """Generates for many requests at once. Belongs to one event loop."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        limits: EngineLimits,
        on_depth: Callable[[int], None] = lambda depth: None,
        thread: Executor | None = None,
    ) -> None:
        """Start nothing until the first request.

        Args:
            backbone: the whole model; nothing else may run it meanwhile.
            limits: how much is generated at once.
            on_depth: told how many requests wait, whenever that changes.
            thread: the one that runs the model, where others run it too, who close it; None: one of
                its own.
        """
        self._limits = limits
        self._on_depth = on_depth
        self._budget = CacheBudget(backbone, limits.max_cache_bytes)
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._batch = Batch(
            backbone,
            chunk_tokens=limits.max_prefill_tokens,
            whole_tokens=limits.max_deciding_tokens,
        )
        self._thread = thread or ThreadPoolExecutor(1, thread_name_prefix="generation-model")
        self._closes_thread = thread is None
        self._worker: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    def submit(self, request: Request) -> None:
        """Queue a request; errors as `check_capacity`."""
        self.check_capacity()
        self._waiting.append(request)
        self._on_depth(len(self._waiting))
        self._changed.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a request would be queued now.

        Args:
            n_expected: requests that are expected and count as if they waited.

        Raises:
            Overloaded: too many wait already.
            ServiceUnavailable: the engine is closed.
        """
        if self._closed:
            raise ServiceUnavailable("generation is shutting down; retry")
        # those that are expected take free rows first, as they will
        free = max(0, self._limits.max_rows - len(self._running) - len(self._waiting))
        n_waiting = len(self._waiting) + max(0, n_expected - free)
        if n_waiting >= self._limits.max_waiting:
            raise Overloaded(
                f"{n_waiting} requests wait already, as many as are let in; retry later"
            )

    async def answers(
        self, request: Request, *, every_s: float = 0.0
    ) -> AsyncGenerator[Settled | TextChunk, None]:
        """Queue a request and give what it receives, to its end. Closing it frees its place.

        Args:
            request: what is asked.
            every_s: how long text is gathered, as `services.generation.frames` does.

        Raises:
            ServiceError: why it failed, or was not taken.
        """
        self.submit(request)
        try:
            async with aclosing(frames(request.answers, every_s=every_s)) as answers:
                async for answer in answers:
                    yield answer
                    if _ends(answer):
                        return
        finally:
            self.give_up(request)

    def give_up(self, request: Request) -> None:
        """Forget a request whose client is gone; its row leaves before the next token."""
        request.is_over = True
        if request in self._waiting:
            self._waiting.remove(request)
            self._on_depth(len(self._waiting))

    async def close(self) -> None:
        """End the step that runs; every request that has not ended fails."""
        self._closed = True
        self._changed.set()
        if self._worker is not None:
            await asyncio.wait([self._worker])
        if self._closes_thread:
            self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._closed:
                self._drop_late(loop.time())
                staying = [request for request in self._running if not request.is_over]
                self._running = list(staying)
                joining = self._let_in(staying)
                if not self._running:
                    self._batch.clear()
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                for request in joining:
                    request.joined_at = time.perf_counter()
                step = loop.run_in_executor(self._thread, self._step, staying, joining)
                for request, answer in await step:
                    if request.prefilled_at is None:
                        request.prefilled_at = time.perf_counter()
                    if answer is not None:
                        request.give(answer)
        except Exception as error:
            log.error(
                "the generation engine stopped, and starts again with the next request: %s",
                whereabouts(error),
            )
        finally:
            self._fail_all()

    def _drop_late(self, now: float) -> None:
        for request in [*self._running, *self._waiting]:
            if request.row.deadline <= now and not request.is_over:
                n_tokens = request.row.n_generated
                request.give(
                    DeadlinePassed(f"the deadline passed after {n_tokens} tokens; allow more time")
                )
        late = [request for request in self._waiting if request.is_over]
        for request in late:
            self.give_up(request)

    def _let_in(self, staying: Sequence[Request]) -> list[Request]:
        """Move those that may join now to the running ones: first come, first served."""
        joining: list[Request] = []
        while self._waiting and self._fits(self._waiting[0], staying, joining):
            joining.append(self._waiting.popleft())
            self._running.append(joining[-1])
        if joining:
            self._on_depth(len(self._waiting))
        return joining

    def _fits(self, first: Request, staying: Sequence[Request], joining: Sequence[Request]) -> bool:
        rows = [first.row, *(request.row for request in (*joining, *staying))]
        return len(rows) <= self._limits.max_rows and self._budget.fits(rows)

    # In the model's thread:

    def _step(self, staying: list[Request], joining: list[Request]) -> list[_Outcome]:
        requests = {request.row: request for request in (*staying, *joining)}
        self._batch.keep([request.row for request in staying])
        self._batch.enter([request.row for request in joining])
        found = self._advance() | self._look()
        pairs = ((requests[row], decided) for row, decided in found.items())
        return [outcome for request, decided in pairs for outcome in _outcomes(request, decided)]

    def _advance(self) -> dict[Row, Decided]:
        """A pass of those that decode and of prompts; where it fails, of fewer.

        So a prompt that cannot run fails alone, and so do those that decode where they are the
        cause. What failed leaves the batch before the next pass.
        """
        try:
            return self._batch.step()
        except Exception as error:
            running, entering = self._batch.rows, self._batch.next_to_enter()
            if not entering:
                return _failed(running, error)
        found = _tried(running, lambda: self._batch.step([]))
        for row in entering:
            found |= _tried([row], partial(self._batch.step, [row], advancing=False))
        return found

    def _look(self) -> dict[Row, Decided]:
        """A pass that reads prompts for their verdicts alone; where it fails, each by itself."""
        try:
            return self._batch.look()
        except Exception:
            found: dict[Row, Decided] = {}
            for row in self._batch.next_to_look_at():
                found |= _tried([row], partial(self._batch.look, [row]))
            return found

    # On the event loop again:

    def _fail_all(self) -> None:
        why = "is shutting down" if self._closed else "stopped"
        for request in [*self._running, *self._waiting]:
            request.give(ServiceUnavailable(f"generation {why}; retry"))
        self._running = []
        self._waiting.clear()
        self._on_depth(0)
        self._batch.clear()


def _tried(rows: Sequence[Row], run: Callable[[], dict[Row, Decided]]) -> dict[Row, Decided]:
    """What a pass gives, or that it failed for its rows."""
    try:
        return run()
    except Exception as error:
        return _failed(rows, error)


def _failed(rows: Sequence[Row], error: Exception) -> dict[Row, Decided]:
    told = failure(error, n_requests=len(rows))
    return {row: ServiceError(str(told)) for row in rows}


def _outcomes(request: Request, decided: Decided) -> list[_Outcome]:
    """What a pass gave: a decision with the first token where there was none, and a token."""
    if isinstance(decided, ServiceError):
        return [_Outcome(request, decided)]
    settled = request.row.settled if request.row.n_generated == 0 else None
    first = [] if settled is None else [_Outcome(request, Settled(settled))]
    return first if decided is None else [*first, _accept(request, decided)]


def _accept(request: Request, token: int) -> _Outcome:
    if token == NO_TOKEN:
        n_tokens = request.row.n_generated
        return _Outcome(
            request,
            ServiceError(
                f"the model's logits were not finite after {n_tokens} tokens; load it with another "
                "dtype, or choose a smaller steering coefficient"
            ),
        )
    try:
        return _Outcome(request, request.row.accept(token))
    except Exception as error:
        kind = type(error).__name__
        log.error("making text of a token failed: %s", whereabouts(error))
        return _Outcome(request, ServiceError(f"generation failed in the tokenizer ({kind})"))
