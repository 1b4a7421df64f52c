"""Whether generation had room a moment ago: no gate works for a call that is turned away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.errors import DeadlinePassed, Overloaded
from services.pipeline.clients import GenerationClient
from services.pipeline.stages import Stages

_WATCHFUL_S = 5.0
_LIMIT_S = 0.05


class Admission:
    """Asks generation for room before the gate, for a while after generation had none.

    While there is room for all, a service elsewhere is asked nothing: that would be a call more for
    each answer. Belongs to one process.
    """

    def __init__(
        self, *, in_process: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Suppose that there is room.

        Args:
            in_process: generation is in this process, where a question is free and always asked.
            clock: seconds, monotonic.
        """
        self._in_process = in_process
        self._clock = clock
        self._watchful_until = -float("inf")
        self._n_on_the_way = 0
        """Calls that have no verdict yet."""

    def was_full(self) -> None:
        """Generation has turned a call away."""
        self._watchful_until = self._clock() + _WATCHFUL_S

    @asynccontextmanager
    async def admitted(self, generation: GenerationClient, stages: Stages) -> AsyncIterator[None]:
        """Turn a call away now that would be turned away after its verdict; else work for it.

        Calls that are worked for at the same time count as if they waited in generation already;
        not where it is elsewhere, since they may go to several replicas, of which one is asked.

        Raises:
            Overloaded: generation has no room.
            DeadlinePassed: there is no time left.
        """
        n_expected = self._n_on_the_way if self._in_process else 0
        self._n_on_the_way += 1
        try:
            if self._in_process or self._clock() < self._watchful_until:
                await self._expect(generation, n_expected, stages)
            yield
        finally:
            self._n_on_the_way -= 1

    async def _expect(self, generation: GenerationClient, n_expected: int, stages: Stages) -> None:
        stages.at("generation")
        try:
            await stages.within(lambda: generation.check_capacity(n_expected), _LIMIT_S)
        except Overloaded:
            self.was_full()
            raise
        except DeadlinePassed:
            raise
        except Exception:
            # a service that is away or slow: it says so itself when it is asked for text
            return
