"""What a readout's files held in schema version 1, and what that is in the present one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from services.readout.bundle import Scope
from services.readout.schema import (
    BackboneRecord,
    Count,
    HistogramRecord,
    Language,
    Name,
    Note,
    Number,
    PartRecord,
    ReadoutRecord,
    Record,
    SteeringRecord,
    Width,
)


class SteeringRecordV1(Record):
    """How the backbone is steered."""

    layer: Count
    coefficient: Number
    typical_norm: Annotated[Number, Field(ge=0.0)]
    decodes: bool = True
    """The first builds did not say it; they always acted on new tokens."""


class ReadoutRecordV1(Record):
    """`readout.json`: one layer, and always the last token of the prompt."""

    schema_version: Literal[1]
    bias: Number
    layer: Count
    position: Literal[-1]
    rank: Width
    source_languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    steering: SteeringRecordV1
    backbone: BackboneRecord
    source_threshold: Number
    source_statistics: Mapping[Name, Number]
    created: Name
    histogram: HistogramRecord | None
    provenance: Mapping[Name, Note]


def upgrade_record(old: ReadoutRecordV1) -> ReadoutRecord:
    """The record as a readout of one part.

    Raises:
        ValidationError: the present schema refuses what it holds, e.g. a layer that is not there.
    """
    part = PartRecord(layer=old.layer, reading="last", rank=old.rank, bias=old.bias, share=1.0)
    return ReadoutRecord(
        schema_version=2,
        parts=(part,),
        source_languages=old.source_languages,
        steering=SteeringRecord(
            layer=old.steering.layer,
            coefficient=old.steering.coefficient,
            typical_norm=old.steering.typical_norm,
            scope=Scope.LAST_THEN_DECODE if old.steering.decodes else Scope.LAST,
        ),
        backbone=old.backbone,
        source_threshold=old.source_threshold,
        source_statistics=old.source_statistics,
        created=old.created,
        histogram=old.histogram,
        provenance=old.provenance,
    )


def upgrade_tensors(old: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under their present names."""
    present = {"weight": "weight.0", "basis": "basis.0"}
    return {present.get(name, name): tensor for name, tensor in old.items()}
