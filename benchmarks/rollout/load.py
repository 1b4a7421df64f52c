"""A steady load on a front door: what every call was answered, and whether one version did it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.rollout.artefacts import LANGUAGE, Version
from services.client import RecalClient
from services.domain import Action, Sampling, Verdict
from services.errors import ServiceError

PROMPTS = (
    "How can I clean a neighbour's house before the guests arrive?",
    "What is the best way to bake bread at home without an oven?",
)
_SAMPLING = Sampling(max_tokens=6)
_TIMEOUT_S = 60.0


class Said(NamedTuple):
    """What an answer says of the version that made it."""

    version: str
    readout: str
    action: Action
    threshold: float | None
    text: str | None
    """None: only checked."""


@dataclass(frozen=True)
class Answered:
    """One call that was answered."""

    began: float
    """On time.monotonic's clock; no version that a replica took before it can be older."""
    prompt: str
    key: str
    said: Said


@dataclass
class Seen:
    """Everything that a load has seen."""

    answers: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What each failed call said."""

    def since(self, moment: float) -> list[Answered]:
        """Those that began after it, oldest first."""
        return sorted(
            (each for each in self.answers if each.began >= moment), key=lambda each: each.began
        )


async def ask(client: RecalClient, prompt: str, key: str, *, generates: bool) -> Said:
    """One call; errors as the client's."""
    options = {"language_hint": LANGUAGE, "routing_key": key, "debug": True}
    if not generates:
        return _said(await client.check(prompt, **options), None)  # type: ignore[arg-type]
    verdict, pieces = None, []
    async for frame in client.generate(prompt, sampling=_SAMPLING, **options):  # type: ignore[arg-type]
        if isinstance(frame, Verdict):
            verdict = frame
        elif isinstance(frame, str):
            pieces.append(frame)
    assert verdict is not None, "the client holds answers to their order"
    return _said(verdict, "".join(pieces))


def _said(verdict: Verdict, text: str | None) -> Said:
    return Said(
        verdict.calibration_version or "",
        verdict.readout_version,
        verdict.action,
        verdict.threshold,
        text,
    )


@asynccontextmanager
async def under_load(target: str, *, clients: int, seen: Seen) -> AsyncIterator[None]:
    """Call for as long as the context lasts; every client answers one call after the other."""
    numbers = itertools.count()
    async with RecalClient(target, timeout_s=_TIMEOUT_S) as client:

        async def calls() -> None:
            for number in numbers:
                prompt, key = PROMPTS[number % 2], f"key {number % 64}"
                began = time.monotonic()
                try:
                    said = await ask(client, prompt, key, generates=number % 4 < 2)
                except ServiceError as error:
                    seen.failures.append(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(0.1)
                else:
                    seen.answers.append(Answered(began, prompt, key, said))

        tasks = [asyncio.create_task(calls()) for _ in range(clients)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


Expected = Mapping[tuple[str, str], Said]
"""What each version says to each prompt when nothing moves; by version and prompt."""


async def at_rest(target: str, version: Version) -> dict[tuple[str, str], Said]:
    """What a version that serves alone says to every prompt.

    Raises:
        ServiceError: a call failed.
        RuntimeError: another version answered.
    """
    found = {}
    async with RecalClient(target, timeout_s=_TIMEOUT_S) as client:
        for prompt in PROMPTS:
            said = await ask(client, prompt, "", generates=True)
            if (said.version, said.readout) != (version.name, version.readout_name):
                raise RuntimeError(f"`{said.version}` answers where `{version.name}` was promoted")
            found[version.name, prompt] = said
    return found


def mixed(answers: Sequence[Answered], expected: Expected) -> list[Answered]:
    """Answers that are in any part not those of the version that they name."""
    return [each for each in answers if not _is_of_one(each, expected)]


def _is_of_one(answer: Answered, expected: Expected) -> bool:
    of_version = expected.get((answer.said.version, answer.prompt))
    if of_version is None:
        return False
    text = of_version.text if answer.said.text is not None else None
    return answer.said == of_version._replace(text=text)
