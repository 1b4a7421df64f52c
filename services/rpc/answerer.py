"""What answers a call's bytes: here the faces of this process; the edge has another, over Serve."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol

from services.errors import NotReady
from services.rpc.call import Call
from services.rpc.faces import Face
from services.wire.methods import Method


class Answerer(Protocol):
    """Answers requests as bytes, with bytes."""

    async def unary(self, method: Method, request: bytes, call: Call) -> bytes:
        """Answer one call."""

    def stream(self, method: Method, request: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """Answer one call with a stream."""


class FaceAnswerer:
    """Answers with the faces of this process.

    The mapping may fill while the server runs: it listens before the model is loaded.
    """

    def __init__(self, faces: Mapping[str, Face]) -> None:
        """Answer with `faces`, by their services' full names."""
        self._faces = faces

    async def unary(self, method: Method, request: bytes, call: Call) -> bytes:
        """Answer one call."""
        behaviour = getattr(self._face(method), method.name)
        response = await behaviour(method.parse(request), call)
        return bytes(response.SerializeToString())

    async def stream(
        self, method: Method, request: bytes, call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Answer one call with a stream."""
        behaviour = getattr(self._face(method), method.name)
        async with aclosing(behaviour(method.parse(request), call)) as responses:
            async for response in responses:
                yield bytes(response.SerializeToString())

    def _face(self, method: Method) -> Face:
        if method.service not in self._faces:
            raise NotReady(f"`{method.service}` is still loading; retry")
        return self._faces[method.service]
