"""One incoming call: its id, its deadline, and the few rights that its metadata gives."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from services.errors import DeadlinePassed, InvalidRequest

REQUEST_ID = "x-request-id"
DEADLINE_MS = "x-deadline-ms"
"""Milliseconds left when it was sent: Serve hides a call's deadline from deployments."""
DEBUG = "x-recal-debug"
TENANT = "x-recal-tenant"
"""Between our own services only: nothing from outside is believed about a tenant."""

Metadata = Iterable[tuple[str, str | bytes]]

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
"""The id of the call being answered, for calls that are made to answer it."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a face may know of a call beside its request."""

    request_id: str
    deadline: float | None = None
    """When work must be done, on time.monotonic's clock; None: never."""
    reserve_s: float = 0.0
    """How long the caller listens after that: time for the words in which it failed."""
    debug: bool = False
    """The caller asks for scores; whether it gets them is another question."""
    tenant: str | None = None

    def time_left_s(self) -> float | None:
        """Seconds until the deadline; None without one.

        Raises:
            DeadlinePassed: there are none.
        """
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("the deadline had passed before work began; give more time")
        return left

    def patience_s(self) -> float | None:
        """Seconds to wait for whoever works; a little more than they have, so that they say why.

        Raises:
            DeadlinePassed: there are none.
        """
        left = self.time_left_s()
        return None if left is None else left + self.reserve_s / 2


@dataclass(frozen=True, slots=True)
class DeadlineLimits:
    """What becomes of a caller's deadline."""

    default_s: float | None = None
    """For calls that set none."""
    max_s: float | None = None
    """Longer ones are cut to this."""
    reserve_s: float = 0.0
    """Kept back of each for the words on their way to the caller; a tenth of it at most."""

    def apply(self, time_left_s: float | None) -> float | None:
        """The deadline that counts, in seconds from now."""
        left = self.default_s if time_left_s is None else time_left_s
        return left if self.max_s is None or left is None else min(left, self.max_s)


def request_id_of(metadata: Metadata) -> str:
    """The caller's request id where it is fit for a log, else a new one."""
    given = _value(metadata, REQUEST_ID)
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def call_of(
    metadata: Metadata,
    *,
    request_id: str,
    time_left_s: float | None = None,
    limits: DeadlineLimits | None = None,
) -> Call:
    """Read a call's metadata.

    Args:
        metadata: pairs; later ones do not override earlier ones.
        request_id: as `request_id_of` gave it.
        time_left_s: of gRPC's own deadline, where the transport knows it.
        limits: default and cap of the deadline.

    Raises:
        InvalidRequest: `x-deadline-ms` is no number.
        DeadlinePassed: the deadline lies in the past.
    """
    metadata = tuple(metadata)
    lefts = [x for x in (time_left_s, _deadline_s(metadata)) if x is not None]
    limits = limits or DeadlineLimits()
    left = limits.apply(min(lefts, default=None))
    reserve_s = 0.0 if left is None else max(0.0, min(limits.reserve_s, left / 10))
    call = Call(
        request_id=request_id,
        deadline=None if left is None else time.monotonic() + left - reserve_s,
        reserve_s=reserve_s,
        debug=_value(metadata, DEBUG) == "1",
        tenant=_value(metadata, TENANT) or None,
    )
    call.time_left_s()
    return call


def _deadline_s(metadata: Metadata) -> float | None:
    text = _value(metadata, DEADLINE_MS)
    if not text:
        return None
    if not re.fullmatch(r"-?\d{1,12}", text, re.ASCII):
        raise InvalidRequest(f"`{DEADLINE_MS}` is {text[:20]!r}; give milliseconds, e.g. 2500")
    return int(text) / 1000


def _value(metadata: Metadata, key: str) -> str:
    for name, value in metadata:
        if name == key and isinstance(value, str):
            return value
    return ""
