"""What the JSON files of an artefact may hold: strict records, and their JSON Schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic import field_validator as check
from pydantic.json_schema import models_json_schema

from services.readout.bundle import ReleaseForm, Scope, SteerForm
from services.readout.place import Reading

PLAIN_VERSION = 2
"""Of readouts, and of calibrations of the frozen score. 1 is still read:
`services.readout.schema_v1`."""
OWN_READOUT_VERSION = 3
"""Of calibrations with a readout of their own, which older builds must refuse by name: held against
the frozen score their thresholds would mean nothing."""

LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"
SHA256 = r"^[0-9a-f]{64}$"

Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Language = Annotated[str, StringConstraints(pattern=LANGUAGE)]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Note = Annotated[str, StringConstraints(max_length=2000)]
Rate = Annotated[float, Field(ge=0.0, le=1.0)]
_MOST = 3.4028234663852886e38
"""Of float32, in which scores are computed: beyond it a threshold is none in some of our modes."""
Number = Annotated[float, Field(ge=-_MOST, le=_MOST)]
Width = Annotated[int, Field(ge=1, le=2**20)]
"""Of a residual, or layers of a backbone."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""No more than the wire carries."""


class Record(BaseModel):
    """Base of every record: no unknown field, no silent conversion, no NaN, no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Manifest(Record):
    """`manifest.json`: what an artefact is, and the sha256 of each of its files."""

    schema_version: Literal[1, 2, 3]
    kind: Literal["readout", "calibration"]
    files: dict[str, Sha256]


class BackboneRecord(Record):
    """The backbone that an artefact belongs to."""

    name: Name
    architecture: Name
    d_model: Width
    n_layers: Width
    weights_digest: Name
    tokenizer_digest: Name
    chat_template_digest: Name


class SteeringStatisticsRecord(Record):
    """Where the source languages' classes lie along the steering direction."""

    target: Number
    centre: Number
    gap: Number


class ReleaseRecord(Record):
    """How a false refusal is taken away; a direction of its own is a tensor."""

    form: ReleaseForm = ReleaseForm.ABLATE
    scope: Scope = Scope.ALL
    layer: Count | None = None
    centre: Number | None = None

    @model_validator(mode="after")
    def _has_what_its_form_needs(self) -> Self:
        if self.form is ReleaseForm.SURGICAL and self.layer is None:
            raise ValueError("it releases by `surgical` without a layer of its own")
        if self.form is ReleaseForm.AFFINE and self.centre is None:
            raise ValueError("it releases by `affine` without the harmless centre")
        return self


class SteeringRecord(Record):
    """How the backbone is steered; directions themselves are tensors."""

    layer: Count
    coefficient: Number
    typical_norm: Annotated[Number, Field(ge=0.0)]
    form: SteerForm = SteerForm.ADD
    scope: Scope = Scope.LAST_THEN_DECODE
    statistics: SteeringStatisticsRecord | None = None
    release: ReleaseRecord = ReleaseRecord()

    @model_validator(mode="after")
    def _has_what_its_form_needs(self) -> Self:
        if self.form is SteerForm.TO_TARGET and self.statistics is None:
            raise ValueError("it steers by `to_target` without the statistics of projections")
        return self


class HistogramRecord(Record):
    """Reference scores of one language: rising edges, and counts a class between them."""

    edges: tuple[Number, ...]
    harmful: tuple[Count, ...]
    harmless: tuple[Count, ...]

    @model_validator(mode="after")
    def _bins_match_edges(self) -> Self:
        n_bins = len(self.edges) - 1
        if n_bins < 1 or (len(self.harmful), len(self.harmless)) != (n_bins, n_bins):
            raise ValueError(
                f"{len(self.edges)} edges need {max(n_bins, 1)} counts a class, not "
                f"{len(self.harmful)} and {len(self.harmless)}"
            )
        if any(left >= right for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("the edges do not rise")
        return self


class ThresholdsRecord(Record):
    """The operating point of one language."""

    steer: Number
    release: Number | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.release is not None and self.release > self.steer:
            raise ValueError(
                f"the release threshold {self.release} lies above the steer threshold {self.steer}"
            )
        return self


def _rfc3339(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError(f"the time `{value}` names no offset from UTC")
    return value


class PartRecord(Record):
    """What a readout makes of one place; its weight and basis are tensors."""

    layer: Count
    reading: Reading
    rank: Width
    bias: Number
    share: Annotated[Number, Field(gt=0.0)]


class OwnPartRecord(Record):
    """What a language's own readout makes of one place; its weight is a tensor."""

    layer: Count
    reading: Reading
    bias: Number


class OwnReadoutRecord(Record):
    """A language's own readout: everything of it that is not a tensor."""

    method: Name
    parts: Annotated[tuple[OwnPartRecord, ...], Field(min_length=1)]
    statistics: Mapping[Name, Number]

    @model_validator(mode="after")
    def _places_differ(self) -> Self:
        if len({(part.layer, part.reading) for part in self.parts}) < len(self.parts):
            raise ValueError("its own readout reads the same place twice")
        return self


class ReferencesRecord(Record):
    """Scores of the activations that a readout is tested by; those are a tensor."""

    scores: Annotated[tuple[float, ...], Field(min_length=1)]


class ReadoutRecord(Record):
    """`readout.json`: everything of a readout that is not a tensor."""

    schema_version: Literal[2]
    parts: Annotated[tuple[PartRecord, ...], Field(min_length=1)]
    source_languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    steering: SteeringRecord
    backbone: BackboneRecord
    source_threshold: Number
    source_statistics: Mapping[Name, Number]
    created: Name
    histogram: HistogramRecord | None
    provenance: Mapping[Name, Note]
    fallback: OwnReadoutRecord | None = None
    references: ReferencesRecord | None = None

    _created = check("created")(_rfc3339)

    @model_validator(mode="after")
    def _places_differ(self) -> Self:
        places = {(part.layer, part.reading) for part in self.parts}
        if len(places) < len(self.parts):
            raise ValueError("it reads the same place twice")
        return self

    @model_validator(mode="after")
    def _fallback_reads_what_is_read(self) -> Self:
        read = [(part.layer, part.reading) for part in self.parts]
        mine = [(part.layer, part.reading) for part in self.fallback.parts] if self.fallback else []
        if mine != [place for place in read if place in mine]:
            raise ValueError("its fallback reads other places, or in another order")
        return self

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        for what, layer in (
            ("reads", max(part.layer for part in self.parts)),
            ("steers", self.steering.layer),
            ("releases", self.steering.release.layer),
        ):
            if layer is not None and layer >= self.backbone.n_layers:
                raise ValueError(
                    f"it {what} layer {layer} of a backbone with {self.backbone.n_layers} layers"
                )
        return self


class CalibrationRecord(Record):
    """`calibration.json`: one language's recalibration; hashes of its examples, never texts."""

    schema_version: Literal[1, 2, 3]
    language: Language
    thresholds: ThresholdsRecord
    threshold: Number
    posterior_sd: Annotated[Number, Field(ge=0.0)]
    routing: Literal["three_zone", "two_way"]
    estimator: Name
    k: Count
    readout_digest: Sha256
    backbone: BackboneRecord
    created: Name
    example_hashes: tuple[Sha256, ...]
    metrics: Mapping[Name, Number]
    histogram: HistogramRecord | None
    reference_refusal: Mapping[Name, Rate]
    provenance: Mapping[Name, Note]
    evidence: Mapping[Name, Number] = Field(default_factory=dict)
    vacuous: bool = False
    own: OwnReadoutRecord | None = None

    _created = check("created")(_rfc3339)

    @model_validator(mode="after")
    def _bound_is_one(self) -> Self:
        if self.vacuous and self.estimator == "conformal":
            raise ValueError("a conformal threshold that is vacuous is no threshold")
        return self

    @model_validator(mode="after")
    def _routing_fits_thresholds(self) -> Self:
        if self.routing == "two_way" and self.thresholds.release != self.thresholds.steer:
            raise ValueError(
                f"two-way routing releases everything below the steer threshold "
                f"{self.thresholds.steer}, so its release threshold cannot be "
                f"{self.thresholds.release}"
            )
        return self

    @model_validator(mode="after")
    def _version_fits_own_readout(self) -> Self:
        if (self.schema_version == OWN_READOUT_VERSION) != (self.own is not None):
            raise ValueError(
                f"a calibration has a readout of its own exactly in schema version "
                f"{OWN_READOUT_VERSION}, and this is version {self.schema_version} "
                f"{'without' if self.own is None else 'with'} one"
            )
        return self

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        for part in self.own.parts if self.own is not None else ():
            if part.layer >= self.backbone.n_layers:
                raise ValueError(
                    f"its own readout reads layer {part.layer} of a backbone with "
                    f"{self.backbone.n_layers} layers"
                )
        return self


def json_schema() -> str:
    """The JSON Schema of all three files, as `artefact.schema.json` holds it."""
    _, schema = models_json_schema(
        [(record, "validation") for record in (Manifest, ReadoutRecord, CalibrationRecord)],
        title="Files of a Recal artefact",
        ref_template="#/$defs/{model}",
    )
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
