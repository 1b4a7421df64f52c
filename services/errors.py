"""Every error that may leave a service, with the gRPC status it becomes.

ServiceError
├── InvalidRequest       INVALID_ARGUMENT      the caller must change the request
├── PromptTooLong        INVALID_ARGUMENT      the prompt does not fit the backbone's context
├── UnknownBackbone      NOT_FOUND             the caller named a model that is not served
├── NoCalibration        FAILED_PRECONDITION   an operator must recalibrate or promote
├── ArtefactRefused      FAILED_PRECONDITION   an artefact is corrupt or does not belong here
├── VersionMismatch      FAILED_PRECONDITION   a verdict names a readout that is not loaded
├── NotOffered           UNIMPLEMENTED         this deployment does not do that; see its mode
├── NotReady             UNAVAILABLE           model or calibrations are not loaded yet; retry
├── ServiceUnavailable   UNAVAILABLE           a service behind is away; retry
│   └── RegistryUnreachable                   the registry does not answer; the last good set serves
├── Overloaded           RESOURCE_EXHAUSTED    the queue is full; retry later
└── DeadlinePassed       DEADLINE_EXCEEDED     there was no time left

Each takes exactly one message and keeps its status on the class, because Ray rebuilds exceptions
from their single argument (an exception with another `__init__` arrives as an unknown one).
Messages hold ids, lengths and hashes, never prompt or generated text.
"""

from __future__ import annotations


class ServiceError(Exception):
    """Base of every error with a status and a message that is safe to show to a caller."""

    status = "INTERNAL"


class InvalidRequest(ServiceError):
    """The caller must change the request."""

    status = "INVALID_ARGUMENT"


class PromptTooLong(InvalidRequest):
    """The rendered prompt does not fit the backbone's context."""


class UnknownBackbone(ServiceError):
    """The caller named a model that this server does not serve."""

    status = "NOT_FOUND"


class NoCalibration(ServiceError):
    """No calibration is loaded for a language; an operator must recalibrate or promote."""

    status = "FAILED_PRECONDITION"


class ArtefactRefused(ServiceError):
    """An artefact was refused at load: corrupt, of another backbone, or of an unknown schema."""

    status = "FAILED_PRECONDITION"


class VersionMismatch(ServiceError):
    """A verdict names a readout version that generation does not hold."""

    status = "FAILED_PRECONDITION"


class NotOffered(ServiceError):
    """This deployment does not do what is asked; another mode of deployment would."""

    status = "UNIMPLEMENTED"


class NotReady(ServiceError):
    """Model or calibrations are not loaded yet."""

    status = "UNAVAILABLE"


class ServiceUnavailable(ServiceError):
    """A service behind this one cannot be reached."""

    status = "UNAVAILABLE"


class RegistryUnreachable(ServiceUnavailable):
    """The place where promoted artefacts come from does not answer."""


class Overloaded(ServiceError):
    """The queue is full."""

    status = "RESOURCE_EXHAUSTED"


class DeadlinePassed(ServiceError):
    """The request's deadline passed, or is too near to answer within it."""

    status = "DEADLINE_EXCEEDED"
