"""The pipeline's clients over Serve handles, and the translation of Ray's errors into ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from services.domain import (
    GateDescription,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)
from services.errors import Overloaded, ServiceError, ServiceUnavailable
from services.wire.methods import APPLICATIONS, FUSED, GATE, GENERATION, LANGUAGE_ID
from services.wire.status import known


def handle_of(service: str) -> DeploymentHandle:
    """The handle of a service's deployment, which is named as its application."""
    name = APPLICATIONS[service]
    return serve.get_deployment_handle(name, name)


def error_of_ray(error: Exception, application: str) -> ServiceError:
    """What a failed call through a handle means, in a message that is safe to show."""
    ours = known(error)
    if ours is not None:
        return type(ours)(str(ours))
    if isinstance(error, BackPressureError):
        return Overloaded(f"`{application}` is full; retry later")
    if isinstance(error, RayActorError | DeploymentUnavailableError):
        return ServiceUnavailable(f"`{application}` cannot be reached; retry")
    return ServiceError(f"`{application}` failed; see its log")


async def answered(application: str, response: Any) -> Any:
    """Wait for a handle's response; cancel it there when we are cancelled here.

    Raises:
        ServiceError: the call failed.
    """
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except Exception as error:
        raise error_of_ray(error, application) from None


async def streamed(application: str, responses: Any) -> AsyncGenerator[Any, None]:
    """What a handle's stream gives; cancel it there when it is left before its end.

    Raises:
        ServiceError: the call failed.
    """
    finished = False
    try:
        async for response in responses:
            yield response
        finished = True
    except Exception as error:
        finished = True
        raise error_of_ray(error, application) from None
    finally:
        if not finished:
            responses.cancel()


class LanguageIdHandle:
    """Language identification through its handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Call the given deployment."""
        self._handle = handle

    async def identify(self, text: str) -> LanguageGuess:
        """Name the language of a text, or abstain."""
        guess: LanguageGuess = await answered(
            APPLICATIONS[LANGUAGE_ID], self._handle.identify.remote(text)
        )
        return guess


class GateHandle:
    """The gate through its handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Call the given deployment."""
        self._handle = handle

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        """Decide on one prompt."""
        reading: GateReading = await self._answered(
            self._handle.check.remote(request, timeout_s=timeout_s)
        )
        return reading

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts, in order."""
        readings: list[GateReading] = await self._answered(
            self._handle.batch_check.remote(list(requests), timeout_s=timeout_s)
        )
        return readings

    async def describe(self) -> GateDescription:
        """Say what is loaded."""
        description: GateDescription = await self._answered(self._handle.describe.remote())
        return description

    async def _answered(self, response: Any) -> Any:
        return await answered(APPLICATIONS[GATE], response)


class GenerationHandle:
    """Generation through its handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Call the given deployment."""
        self._handle = handle.options(stream=True)
        self._asking = handle

    async def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a call would be taken now; Serve's own queue has to have room as well."""
        await answered(APPLICATIONS[GENERATION], self._asking.check_capacity.remote(n_expected))

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Generate; closing the iterator cancels the generation."""
        responses: Any = self._handle.generate.remote(
            prompt, intervention, sampling, timeout_s=timeout_s
        )
        async with aclosing(streamed(APPLICATIONS[GENERATION], responses)) as chunks:
            async for chunk in chunks:
                yield chunk


class FusedHandle:
    """Gate and generation in one, through their handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        """Call the given deployment."""
        self._handle = handle.options(stream=True)

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncGenerator[GateReading | TextChunk, None]:
        """Decide and answer; closing the iterator cancels it."""
        responses: Any = self._handle.generate.remote(request, sampling, timeout_s=timeout_s)
        async with aclosing(streamed(APPLICATIONS[FUSED], responses)) as frames:
            async for frame in frames:
                yield frame
