"""gRPC's own asyncio server over an answerer: ids, deadlines, statuses, and one entry a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import grpc
import grpc.aio

from services.errors import DeadlinePassed, Overloaded
from services.rpc.answerer import Answerer
from services.rpc.call import (
    REQUEST_ID,
    Call,
    DeadlineLimits,
    call_of,
    current_request_id,
    request_id_of,
)
from services.rpc.ledger import Ledger
from services.wire.methods import METHODS, Method
from services.wire.status import failure_of

_NO_DEADLINE_S = 1e9  # gRPC may say "no deadline" as one in the year 2262

Context = grpc.aio.ServicerContext[Any, Any]


class Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    """Takes and gives bytes, so that what is wrong with them is said in our words."""

    def __init__(
        self,
        answerer: Answerer,
        services: frozenset[str],
        ledger: Ledger,
        *,
        max_request_bytes: int,
        max_concurrent: int,
        deadlines: DeadlineLimits,
    ) -> None:
        """Answer the RPCs of the given services; all others are UNIMPLEMENTED."""
        self._answerer = answerer
        self._services = services
        self._ledger = ledger
        self._max_request_bytes = max_request_bytes
        self._room = asyncio.Semaphore(max_concurrent)
        self._deadlines = deadlines

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of one method, by its path."""
        method = METHODS.get(handler_call_details.method)
        if method is None or method.service not in self._services:
            return None
        if method.streams:
            return grpc.unary_stream_rpc_method_handler(partial(self._stream, method))
        return grpc.unary_unary_rpc_method_handler(partial(self._unary, method))

    async def _unary(self, method: Method, request: bytes, context: Context) -> bytes:
        async with self._answering(method, request, context) as call:
            try:
                async with asyncio.timeout(call.patience_s()):
                    return await self._answerer.unary(method, request, call)
            except TimeoutError:
                raise DeadlinePassed("the deadline passed before the answer was ready") from None

    async def _stream(self, method: Method, request: bytes, context: Context) -> None:
        # Written and not yielded: a client's cancel then always meets a running coroutine, which
        # closes what it reads from; a suspended generator would wait for the garbage collector.
        async with (
            self._answering(method, request, context) as call,
            aclosing(self._answerer.stream(method, request, call)) as responses,
        ):
            async for response in responses:
                await context.write(response)

    @asynccontextmanager
    async def _answering(
        self, method: Method, request: bytes, context: Context
    ) -> AsyncIterator[Call]:
        metadata: Any = context.invocation_metadata() or ()
        request_id = request_id_of(metadata)
        current_request_id.set(request_id)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        try:
            with self._ledger.entry(method, request_id):
                self._refuse_oversized(request)
                if self._room.locked():
                    raise Overloaded("too many calls at once; retry later")
                async with self._room:
                    yield call_of(
                        metadata,
                        request_id=request_id,
                        time_left_s=_time_left_s(context),
                        limits=self._deadlines,
                    )
        except Exception as error:
            failure = failure_of(error, request_id)
            await context.abort(
                failure.status, failure.details, trailing_metadata=((REQUEST_ID, request_id),)
            )

    def _refuse_oversized(self, request: bytes) -> None:
        if len(request) > self._max_request_bytes:
            raise Overloaded(
                f"the request has {len(request)} bytes, at most {self._max_request_bytes} "
                "are taken; shorten it"
            )


def _time_left_s(context: Context) -> float | None:
    left = context.time_remaining()
    return None if left is None or left > _NO_DEADLINE_S else left
