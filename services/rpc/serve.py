"""A face on a Ray Serve deployment's gRPC methods. Knows Serve's context by its shape only.

Measured on Ray 2.60, with and without HAProxy: a unary RPC that raises loses its trailers, a stream
that returns after a status may end OK, and anything untranslated reaches the client with a
traceback. So a unary RPC sets and returns, a stream sets and raises, and both translate all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message

from services.errors import InvalidRequest, ServiceError
from services.rpc.call import REQUEST_ID, Metadata, call_of, current_request_id, request_id_of
from services.rpc.faces import Face
from services.rpc.ledger import Ledger
from services.telemetry import Meter
from services.wire.methods import Method, method_of
from services.wire.status import Failure, failure_of


class ServeContext(Protocol):
    """The part of Serve's gRPC context that is used."""

    def invocation_metadata(self) -> Metadata:
        """What the client sent."""

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status."""

    def set_details(self, details: str) -> None:
        """Set the status's text."""

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str]]) -> None:
        """Set the trailers."""


class ServeFace:
    """Calls a face's methods with what Serve gives, and ends calls as Serve needs it."""

    def __init__(self, face: Face, meter: Meter) -> None:
        """Serve the given face."""
        self._face = face
        self._ledger = Ledger(meter)

    async def unary(self, name: str, request: Message, context: ServeContext) -> Any:
        """Answer a unary RPC; on failure the response is empty and the status is set."""
        method = method_of(self._face.service, name)
        request_id = self._begin(context)
        try:
            with self._ledger.entry(method, request_id):
                self._expect(method, request)
                call = call_of(context.invocation_metadata(), request_id=request_id)
                return await getattr(self._face, name)(request, call)
        except Exception as error:
            self._end(context, failure_of(error, request_id))
            return method.response()

    async def stream(
        self, name: str, request: Message, context: ServeContext
    ) -> AsyncGenerator[Any, None]:
        """Answer a streaming RPC; on failure the status is set and an error of ours is raised."""
        method = method_of(self._face.service, name)
        request_id = self._begin(context)
        failure = None
        try:
            with self._ledger.entry(method, request_id):
                self._expect(method, request)
                call = call_of(context.invocation_metadata(), request_id=request_id)
                async with aclosing(getattr(self._face, name)(request, call)) as responses:
                    async for response in responses:
                        yield response
        except Exception as error:
            failure = failure_of(error, request_id)
        if failure is not None:
            # Outside the `except`, so that Serve's log of it has no trace of the original.
            self._end(context, failure)
            raise ServiceError(failure.details)

    def _begin(self, context: ServeContext) -> str:
        request_id = request_id_of(context.invocation_metadata())
        current_request_id.set(request_id)
        context.set_trailing_metadata([(REQUEST_ID, request_id)])
        return request_id

    def _end(self, context: ServeContext, failure: Failure) -> None:
        context.set_code(failure.status)
        context.set_details(failure.details)

    def _expect(self, method: Method, request: Message) -> None:
        if not isinstance(request, method.request):
            raise InvalidRequest(
                f"`{type(request).__name__}` was sent to the application of "
                f"`{self._face.service}`; correct the `application` metadata"
            )
