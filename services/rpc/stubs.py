"""The pipeline's clients over gRPC: each service may run anywhere, under its own deployment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from services.domain import (
    GateDescription,
    GateReading,
    GateRequest,
    Intervention,
    LanguageGuess,
    Sampling,
    TextChunk,
)
from services.errors import InvalidRequest, ServiceError
from services.rpc.call import DEADLINE_MS, REQUEST_ID, TENANT, current_request_id
from services.wire import answers, messages, verdicts
from services.wire.methods import (
    APPLICATIONS,
    FUSED,
    GATE,
    GENERATION,
    LANGUAGE_ID,
    Method,
    method_of,
)
from services.wire.prompts import from_sampling
from services.wire.status import error_of

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 30.0
"""For calls that bring none: no call waits for ever."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
)
"""Find a restarted service again within seconds, and use every address that a name stands for."""


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to a service; `address` as in `host:port` or `dns:///name:port`."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)


class Connection:
    """Calls of one service over one channel. Every failure is a ServiceError."""

    def __init__(
        self, channel: grpc.aio.Channel, service: str, application: str | None = None
    ) -> None:
        """Call `service`, by its full name; on Serve, in the application of that name."""
        self._channel = channel
        self._service = service
        self._application = application or APPLICATIONS[service]

    async def unary(
        self, name: str, request: Message, *, timeout_s: float | None, tenant: str | None = None
    ) -> Any:
        """Call a unary RPC."""
        method = method_of(self._service, name)
        call = self._channel.unary_unary(method.path, *_serialisers(method))
        try:
            return await call(request, **self._with(timeout_s, tenant))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    async def stream(
        self, name: str, request: Message, *, timeout_s: float | None, tenant: str | None = None
    ) -> AsyncGenerator[Any, None]:
        """Call a streaming RPC; closing the iterator cancels the call."""
        method = method_of(self._service, name)
        call = self._channel.unary_stream(method.path, *_serialisers(method))(
            request, **self._with(timeout_s, tenant)
        )
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None
        finally:
            call.cancel()

    def read(self, convert: Callable[[Any], T], response: Any) -> T:
        """Convert an answer.

        Raises:
            ServiceError: it lacks what every answer has; the other side is broken or of another
                version. It is never taken for a looser one.
        """
        try:
            return convert(response)
        except InvalidRequest as error:
            raise ServiceError(
                f"`{self._service}` answered what cannot be read: {error}; "
                "bring both sides to the same version"
            ) from None

    def _with(self, timeout_s: float | None, tenant: str | None) -> dict[str, Any]:
        timeout_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        metadata = {
            "application": self._application,
            DEADLINE_MS: str(max(0, round(timeout_s * 1000))),
            REQUEST_ID: current_request_id.get(),
            TENANT: tenant or "",
        }
        present = tuple((key, value) for key, value in metadata.items() if value)
        return {"timeout": timeout_s, "metadata": present}

    def _error(self, error: grpc.aio.AioRpcError) -> ServiceError:
        return error_of(error.code(), error.details() or "", self._service)


def _serialisers(method: Method) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    return method.request.SerializeToString, method.response.FromString


class LanguageIdStub:
    """Language identification over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, application: str | None = None) -> None:
        """Call over the given channel; on Serve, an application of another name where given."""
        self._connection = Connection(channel, LANGUAGE_ID, application)

    async def identify(self, text: str) -> LanguageGuess:
        """Name the language of a text, or abstain."""
        request = messages.IdentifyRequest(text=text)
        response = await self._connection.unary("Identify", request, timeout_s=None)
        return self._connection.read(verdicts.guess_of, response.guess)


class GateStub:
    """The gate over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, application: str | None = None) -> None:
        """Call over the given channel; on Serve, an application of another name where given."""
        self._connection = Connection(channel, GATE, application)

    async def check(self, request: GateRequest, *, timeout_s: float | None = None) -> GateReading:
        """Decide on one prompt."""
        response = await self._connection.unary(
            "Check", _gate_request(request), timeout_s=timeout_s, tenant=request.tenant
        )
        return self._connection.read(verdicts.reading_of, response)

    async def batch_check(
        self, requests: Sequence[GateRequest], *, timeout_s: float | None = None
    ) -> list[GateReading]:
        """Decide on many prompts of one tenant, in order.

        Raises:
            ValueError: the requests are of several tenants.
        """
        tenants = {request.tenant for request in requests}
        if len(tenants) > 1:
            raise ValueError(f"{len(tenants)} tenants in one batch; send one batch for each")
        response = await self._connection.unary(
            "BatchCheck",
            messages.GateBatchCheckRequest(requests=[_gate_request(each) for each in requests]),
            timeout_s=timeout_s,
            tenant=tenants.pop() if tenants else None,
        )
        if len(response.responses) != len(requests):
            raise ServiceError(
                f"`{GATE}` answered {len(response.responses)} of {len(requests)} prompts"
            )
        return [self._connection.read(verdicts.reading_of, each) for each in response.responses]

    async def describe(self) -> GateDescription:
        """Say what is loaded."""
        request = messages.GateDescribeRequest()
        response = await self._connection.unary("Describe", request, timeout_s=None)
        return self._connection.read(answers.description_of, response)


def _gate_request(asked: GateRequest) -> messages.GateCheckRequest:
    return messages.GateCheckRequest(
        prompt=asked.prompt,
        guess=verdicts.from_guess(asked.guess),
        language_hint=asked.hint or "",
        routing_key=asked.routing_key or "",
    )


class GenerationStub:
    """Generation over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, application: str | None = None) -> None:
        """Call over the given channel; on Serve, an application of another name where given."""
        self._connection = Connection(channel, GENERATION, application)

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[TextChunk]:
        """Generate; the last chunk carries `finish` and all tokens."""
        request = messages.GenerationGenerateRequest(
            prompt=prompt,
            intervention=verdicts.from_intervention(intervention),
            sampling=from_sampling(sampling),
        )
        stream = self._connection.stream("Generate", request, timeout_s=timeout_s)
        async with aclosing(stream) as responses:
            async for response in responses:
                yield self._connection.read(answers.chunk_of, response)


class FusedStub:
    """The fused service over gRPC."""

    def __init__(self, channel: grpc.aio.Channel, *, application: str | None = None) -> None:
        """Call over the given channel; on Serve, an application of another name where given."""
        self._connection = Connection(channel, FUSED, application)

    async def generate(
        self, request: GateRequest, sampling: Sampling, *, timeout_s: float | None = None
    ) -> AsyncIterator[GateReading | TextChunk]:
        """Decide and answer; the last chunk carries `finish` and all tokens."""
        message = messages.FusedGenerateRequest(
            check=_gate_request(request), sampling=from_sampling(sampling)
        )
        stream = self._connection.stream(
            "Generate", message, timeout_s=timeout_s, tenant=request.tenant
        )
        async with aclosing(stream) as responses:
            async for response in responses:
                yield self._connection.read(answers.fused_frame_of, response)
