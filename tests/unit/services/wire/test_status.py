from __future__ import annotations

import grpc
import pytest

from services import errors
from services.errors import InvalidRequest, ServiceError, ServiceUnavailable
from services.wire.status import error_of, failure_of


def every(kind: type[ServiceError]) -> list[type[ServiceError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in every(sub))]


KINDS = [kind for kind in every(ServiceError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_keeps_its_class_and_message_over_the_wire(kind):
    failure = failure_of(kind("what is wrong;\nwhat to do [x]"), "id-1")
    assert failure.status is grpc.StatusCode[kind.status]
    back = error_of(failure.status, failure.details, "gate")
    assert type(back) is kind
    assert str(back) == "what is wrong;\nwhat to do [x]"


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_in_the_map_of_its_module(kind):
    assert kind.__name__ in (errors.__doc__ or "").split()


def test_an_error_that_is_not_ours_says_only_where_to_look():
    failure = failure_of(KeyError("canary"), "id-1")
    assert failure.status is grpc.StatusCode.INTERNAL
    assert failure.details == "internal error; see the server log [ServiceError, request id-1]"


def test_rays_wrapper_is_unwrapped_and_its_traceback_not_shown():
    class Wrapped(InvalidRequest):
        cause = InvalidRequest("`prompt` is empty")

    failure = failure_of(Wrapped("Traceback (most recent call last): canary"), "id-1")
    assert failure.status is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.details.startswith("`prompt` is empty [InvalidRequest")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable),
        (grpc.StatusCode.NOT_FOUND, ServiceUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlinePassed),
        (grpc.StatusCode.UNKNOWN, ServiceError),
        (grpc.StatusCode.INTERNAL, ServiceError),
    ],
)
def test_words_of_transports_and_proxies_are_replaced_by_ours(status, kind):
    back = error_of(status, "Traceback: ipv4:10.0.0.3:9000 canary", "gate")
    assert type(back) is kind
    assert "canary" not in str(back)
    assert "10.0.0.3" not in str(back)
    assert "`gate`" in str(back)


def test_a_long_message_does_not_burst_the_trailers():
    assert len(failure_of(InvalidRequest("x" * 20_000), "id-1").details) < 1100
