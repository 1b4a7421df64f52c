"""Passes calls on to Ray Serve as bytes: picks the application, hands on deadline and id.

Neither requests nor answers are read. A request that is no message at all fails where it is read
first, behind a transport that cannot say so; only then is it looked at here, for the words.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio

from services.errors import InvalidRequest
from services.rpc.call import DEADLINE_MS, DEBUG, REQUEST_ID, Call
from services.wire.methods import APPLICATIONS, Method
from services.wire.status import error_of


class ForwardAnswerer:
    """Answers with what Serve answers.

    Only what Serve needs is handed on; a caller's own metadata stays outside, so that nobody picks
    another application or claims to be a tenant.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Forward over the given channel."""
        self._channel = channel

    async def unary(self, method: Method, request: bytes, call: Call) -> bytes:
        """Forward one call."""
        forwarded: Any = self._channel.unary_unary(method.path, None, None)
        try:
            answer: bytes = await forwarded(request, **_with(method, call))
        except grpc.aio.AioRpcError as error:
            raise _error(error, method, request) from None
        return answer

    async def stream(
        self, method: Method, request: bytes, call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Forward one call with a stream; closing the iterator cancels it behind, too."""
        forwarded: Any = self._channel.unary_stream(method.path, None, None)
        answers = forwarded(request, **_with(method, call))
        try:
            async for answer in answers:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise _error(error, method, request) from None
        finally:
            answers.cancel()


def _with(method: Method, call: Call) -> dict[str, Any]:
    left = call.time_left_s()
    metadata = [("application", APPLICATIONS[method.service]), (REQUEST_ID, call.request_id)]
    if left is not None:
        metadata.append((DEADLINE_MS, str(round(left * 1000))))
    if call.debug:
        metadata.append((DEBUG, "1"))
    return {"timeout": call.patience_s(), "metadata": tuple(metadata)}


def _error(error: grpc.aio.AioRpcError, method: Method, request: bytes) -> Exception:
    try:
        method.parse(request)
    except InvalidRequest as invalid:
        return invalid
    return error_of(error.code(), error.details() or "", APPLICATIONS[method.service])
