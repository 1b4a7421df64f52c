"""Every RPC of the contract with its messages, read from the generated descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from services.errors import InvalidRequest
from services.pb import recal_pb2 as pb

LANGUAGE_ID = "recal.v1.LanguageId"
GATE = "recal.v1.Gate"
GENERATION = "recal.v1.Generation"
FUSED = "recal.v1.Fused"
RECAL = "recal.v1.Recal"

APPLICATIONS: Mapping[str, str] = MappingProxyType(
    {
        LANGUAGE_ID: "language-id",
        GATE: "gate",
        FUSED: "gate",  # one application holds both: no method name is in both
        GENERATION: "generation",
        RECAL: "recal",
    }
)
"""Service to Serve application: Serve routes by application, then by the method's bare name."""


@dataclass(frozen=True)
class Method:
    """One RPC."""

    service: str
    """Full name, e.g. `recal.v1.Gate`."""
    name: str
    request: type[Message]
    response: type[Message]
    streams: bool
    """True when the answer is a stream."""

    @property
    def path(self) -> str:
        """What gRPC calls it, e.g. `/recal.v1.Gate/Check`."""
        return f"/{self.service}/{self.name}"

    @property
    def label(self) -> str:
        """Short name for metrics and logs, e.g. `Gate/Check`."""
        return f"{self.service.rpartition('.')[2]}/{self.name}"

    def parse(self, raw: bytes) -> Message:
        """Read the request.

        Raises:
            InvalidRequest: the bytes are not such a message, e.g. a string is not UTF-8.
        """
        try:
            return self.request.FromString(raw)
        except DecodeError:
            raise InvalidRequest(
                f"the {len(raw)} bytes are no valid `{self.request.DESCRIPTOR.full_name}`; "
                "encode its fields as in the .proto, and its strings as UTF-8"
            ) from None


def _read_methods() -> dict[str, Method]:
    methods = {}
    for service in pb.DESCRIPTOR.services_by_name.values():
        for rpc in service.methods:
            method = Method(
                service=service.full_name,
                name=rpc.name,
                request=message_factory.GetMessageClass(rpc.input_type),
                response=message_factory.GetMessageClass(rpc.output_type),
                streams=rpc.server_streaming,
            )
            methods[method.path] = method
    return methods


METHODS: Mapping[str, Method] = MappingProxyType(_read_methods())
"""By path."""


def method_of(service: str, name: str) -> Method:
    """The RPC of that name; a name that is not in the contract is a bug (KeyError)."""
    return METHODS[f"/{service}/{name}"]
