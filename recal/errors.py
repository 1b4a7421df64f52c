"""Errors of the offline side; each message says what is wrong and what to do.

ServiceError
├── DatasetRefused       a published prompt file cannot be used
├── RegistryError        what was asked of the registry cannot be done
│   ├── UnknownVersion       no such model or version is registered
│   ├── PromotionRefused     a version is not good enough to decide; a reason can force it
│   ├── VersionRevoked       a version must never decide again; nothing can force it
│   ├── WrongStanding        who decides now does not allow it; the message says what to do first
│   ├── NothingBefore        there is no earlier champion to go back to
│   └── RegistryConflict     somebody else moved the alias at the same time
└── JudgeFailed          a judge refuses to judge: its address, key or model must be mended
    └── JudgeUnreachable     it gave no verdict in time; try again

A registry that does not answer is `services.errors.RegistryUnreachable`.
"""

from __future__ import annotations

from services.errors import ServiceError


class DatasetRefused(ServiceError):
    """A published prompt file is missing, another one than was meant, or not of its layout."""

    status = "FAILED_PRECONDITION"


class RegistryError(ServiceError):
    """What was asked of the registry cannot be done."""

    status = "FAILED_PRECONDITION"


class UnknownVersion(RegistryError):
    """No such model or version is registered."""

    status = "NOT_FOUND"


class PromotionRefused(RegistryError):
    """A version is not good enough to decide."""


class VersionRevoked(RegistryError):
    """A version must never decide again; no reason overrules that."""


class WrongStanding(RegistryError):
    """Who decides now does not allow it; something else must be done first."""


class NothingBefore(RegistryError):
    """There is no earlier champion to go back to."""


class RegistryConflict(RegistryError):
    """Somebody else moved the alias at the same time."""


class JudgeFailed(ServiceError):
    """A judge refuses to judge: its address, key or model must be mended."""

    status = "FAILED_PRECONDITION"


class JudgeUnreachable(JudgeFailed):
    """A judge gave no verdict in time; try again."""

    status = "UNAVAILABLE"
