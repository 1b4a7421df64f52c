"""Enumerations on the wire: `Action.STEER` is `ACTION_STEER`, and 0 is never taken for a value."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar

from services.domain import Abstention, Action, CandidateRole, FinishReason, MonitorStop, Reason
from services.errors import InvalidRequest
from services.pb import recal_pb2 as pb

E = TypeVar("E", bound=Enum)

_WIRE_TYPES = {
    Action: pb.Action,
    Reason: pb.Reason,
    Abstention: pb.Abstention,
    FinishReason: pb.FinishReason,
    MonitorStop: pb.MonitorStop,
    CandidateRole: pb.CandidateRole,
}


def _prefix(enum: type[Enum]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.__name__).upper() + "_"


def to_wire(member: Enum) -> str:
    """The wire's name of a member; protobuf takes names where it takes numbers."""
    return _prefix(type(member)) + member.name


def from_wire(enum: type[E], number: int, field: str) -> E:
    """The member of a number.

    Raises:
        InvalidRequest: the field is not set (0), or the number is of a newer contract.
    """
    names = _WIRE_TYPES[enum]
    if number == 0 or number not in names.values():
        known = ", ".join(to_wire(member) for member in enum)
        state = "is not set" if number == 0 else f"has the unknown value {number}"
        raise InvalidRequest(f"`{field}` {state}; give one of {known}")
    return enum[names.Name(number).removeprefix(_prefix(enum))]
