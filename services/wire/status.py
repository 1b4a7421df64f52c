"""The one table between errors and gRPC statuses, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import grpc

from services.errors import (
    DeadlinePassed,
    InvalidRequest,
    Overloaded,
    ServiceError,
    ServiceUnavailable,
)

_MAX_MESSAGE = 1000
_MARK = re.compile(
    r"\A(?P<message>.*) \[(?P<kind>\w+), request (?P<request_id>[\w.-]{1,64})\]\Z", re.DOTALL
)
"""Every message of ours ends so. Serve drops the trailers of a stream that fails, so the kind of an
error can only travel in the details; and people find the request in the log by it."""


class Failure(NamedTuple):
    """How a call ends when it fails."""

    status: grpc.StatusCode
    details: str


def known(error: BaseException) -> ServiceError | None:
    """The error of ours that this is, or that Ray wrapped; None for any other.

    Ray's wrapper is an instance of the original's class too, but its text is a remote traceback.
    """
    for candidate in (getattr(error, "cause", None), error):
        if isinstance(candidate, ServiceError):
            return candidate
    return None


def failure_of(error: BaseException, request_id: str) -> Failure:
    """Status and details that are safe to show; what is not ours says nothing but where to look."""
    ours = known(error)
    if ours is None:
        message = "internal error; see the server log"
        return Failure(
            grpc.StatusCode.INTERNAL, f"{message} [{ServiceError.__name__}, request {request_id}]"
        )
    return Failure(
        grpc.StatusCode[ours.status],
        f"{str(ours)[:_MAX_MESSAGE]} [{type(ours).__name__}, request {request_id}]",
    )


_WORDS: dict[grpc.StatusCode, tuple[type[ServiceError], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidRequest, "refused the request as invalid"),
    grpc.StatusCode.NOT_FOUND: (
        ServiceUnavailable,
        "is not deployed under this address; deploy it, or retry later",
    ),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        Overloaded,
        "is full; retry later",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlinePassed, "did not answer within the deadline"),
    grpc.StatusCode.UNAVAILABLE: (ServiceUnavailable, "cannot be reached; retry"),
    grpc.StatusCode.CANCELLED: (ServiceUnavailable, "dropped the call; retry"),
    grpc.StatusCode.UNIMPLEMENTED: (
        ServiceUnavailable,
        "does not know this method; bring both sides to the same version",
    ),
}
"""What a status means that did not come from our code: transport, Serve, a proxy."""


def error_of(status: grpc.StatusCode, details: str, service: str) -> ServiceError:
    """The error behind a status: the very class where our own code sent it.

    Args:
        status: how the call ended.
        details: its text. Shown on only when it is ours: a transport's holds addresses, Serve's may
            hold a traceback.
        service: who was called, for the message.
    """
    mark = _MARK.match(details or "")
    if mark is not None and mark["kind"] in _KINDS:
        return _KINDS[mark["kind"]](mark["message"])
    kind, words = _WORDS.get(status, (ServiceError, "failed; see its log"))
    return kind(f"`{service}` {words}")


def _subclasses(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _subclasses(each)


_KINDS = {kind.__name__: kind for kind in _subclasses(ServiceError)}
