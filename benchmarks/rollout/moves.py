"""Moves of aliases, and how long it takes until every call is answered by what was moved to."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil
from mlflow import MlflowClient

from benchmarks.rollout.artefacts import Registered, Version
from benchmarks.rollout.load import Answered, Seen
from services.readout.canary import drawn
from services.readout.naming import CANARY_SHARE_TAG, CHALLENGER, CHAMPION

CALM = 16
"""Calls in a row that must follow a move before the next one is made."""
PATIENCE_S = 120.0
_LOOK_S = 0.1
_GATE = "ray::ServeReplica:gate"

Follows = Callable[[Answered], bool]
"""Whether an answer is one of what was moved to."""


@dataclass
class Moved:
    """One move, and when the whole fleet had followed."""

    to: str
    at: float
    seconds: float | None = None
    """From the alias to the first call from which on every call follows; None: not yet."""


@dataclass
class Aliases:
    """Moves aliases of one language, and of the readout where that changes too."""

    client: MlflowClient
    registered: Registered
    moves: list[Moved] = field(default_factory=list)

    def start_with(self, version: Version) -> None:
        """Promote the first version, before anything serves."""
        for model, number in (
            (self.registered.model, version.calibration),
            (self.registered.readout_model, version.readout),
        ):
            self.client.set_registered_model_alias(model, CHAMPION, str(number))

    async def promote(self, version: Version) -> Moved:
        """Let the alias `champion` name another version."""
        await asyncio.to_thread(self._promote, version)
        self.moves.append(Moved(version.name, time.monotonic()))
        return self.moves[-1]

    async def canary(self, version: Version, share: float) -> float:
        """Let a version decide for a share; gives the moment."""
        await asyncio.to_thread(self._canary, version, share)
        return time.monotonic()

    def _promote(self, version: Version) -> None:
        client, of = self.client, self.registered
        client.set_registered_model_alias(of.model, CHAMPION, str(version.calibration))
        # calibrations of a new readout first: they are refused until it comes, and the old serve
        serves = client.get_model_version_by_alias(of.readout_model, CHAMPION).version
        if int(serves) != version.readout:
            client.set_registered_model_alias(of.readout_model, CHAMPION, str(version.readout))

    def _canary(self, version: Version, share: float) -> None:
        model = self.registered.model
        self.client.set_registered_model_tag(model, CANARY_SHARE_TAG, str(share))
        self.client.set_registered_model_alias(model, CHALLENGER, str(version.calibration))


def named(version: Version) -> Follows:
    """Answers of one version."""
    return lambda answer: answer.said.version == version.name


def drawn_between(champion: Version, challenger: Version, share: float) -> Follows:
    """Answers of the version that a key is drawn to."""

    def follows(answer: Answered) -> bool:
        takes = drawn(answer.key, challenger.name) < share
        return answer.said.version == (challenger if takes else champion).name

    return follows


def until_followed(answers: Sequence[Answered], at: float, follows: Follows) -> float | None:
    """Seconds from `at` to the first call from which on every call follows; None: too few do yet.

    Args:
        answers: that began after it, in the order in which they began.
        at: when the move was made.
        follows: what it moved to.
    """
    first = 0
    for index, answer in enumerate(answers):
        if not follows(answer):
            first = index + 1
    calm = answers[first:]
    return calm[0].began - at if len(calm) >= CALM else None


async def followed(seen: Seen, at: float, follows: Follows) -> float:
    """Wait until every call follows a move.

    Raises:
        TimeoutError: some still do not.
    """
    async with asyncio.timeout(PATIENCE_S):
        while True:
            seconds = until_followed(seen.since(at), at, follows)
            if seconds is not None:
                return seconds
            await asyncio.sleep(_LOOK_S)


def kill_a_gate() -> bool:
    """Kill one replica of the gate, of those that this process has started; False: there is none.

    Serve starts another in its place.
    """
    for process in psutil.Process().children(recursive=True):
        try:
            is_gate = " ".join(process.cmdline()).startswith(_GATE)
        except psutil.Error:
            continue
        if is_gate:
            os.kill(process.pid, signal.SIGKILL)
            return True
    return False
