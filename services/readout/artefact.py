"""Readouts and calibrations on disk: safetensors and JSON under a manifest, verified at load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from torch import Tensor

from services.errors import ArtefactRefused
from services.readout.bundle import (
    BackboneIdentity,
    Calibration,
    Readout,
    Release,
    Steering,
    SteeringStatistics,
    Thresholds,
)
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.manifest import Sealed, canonical_json, first_fault, parse, seal, unseal
from services.readout.own import OwnPart, OwnReadout
from services.readout.place import Place
from services.readout.references import References, ScoreHistogram
from services.readout.schema import (
    OWN_READOUT_VERSION,
    PLAIN_VERSION,
    BackboneRecord,
    CalibrationRecord,
    HistogramRecord,
    OwnReadoutRecord,
    PartRecord,
    ReadoutRecord,
    ReleaseRecord,
    SteeringRecord,
)
from services.readout.schema_v1 import ReadoutRecordV1, upgrade_record, upgrade_tensors
from services.readout.signature import ANYBODY, Trust
from services.readout.tensors import parsed, refuse_odd, written

READOUT_JSON = "readout.json"
READOUT_TENSORS = "readout.safetensors"
CALIBRATION_JSON = "calibration.json"
CALIBRATION_TENSORS = "calibration.safetensors"
"""There exactly where a calibration has a readout of its own."""
RELEASE_DIRECTION = "release_direction"
"""Tensor that is there exactly where the readout releases at a layer of its own."""

REFERENCES = "references"
"""Tensor that is there exactly where the readout has activations to be tested by."""
OWN_WEIGHT, FALLBACK_WEIGHT = "weight", "fallback"
"""What tensors of an own readout are called, in a calibration's file and in a readout's."""

_READOUT_FILES = frozenset({READOUT_JSON, READOUT_TENSORS})
_CALIBRATION_FILES = frozenset({CALIBRATION_JSON})
_OWN_READOUT_FILES = frozenset({CALIBRATION_TENSORS})
_REFIT = "recal fit"
_RECALIBRATE = "recal recalibrate"
_UNIT_NORM_TOLERANCE = 1e-3


def save_readout(readout: Readout, directory: Path) -> Readout:
    """Write a readout; equal content gives equal bytes and an equal digest.

    Returns:
        The same readout with its digest.

    Raises:
        ArtefactRefused: what would be written would be refused at load.
    """
    files = _readout_files(readout)
    _readout_of(Sealed(files, "", PLAIN_VERSION), f"readout for `{directory}`")
    return replace(readout, digest=seal(directory, "readout", files, PLAIN_VERSION))


def load_readout(
    directory: Path,
    *,
    version: str | None = None,
    digest: str | None = None,
    backbone: BackboneIdentity | None = None,
    trust: Trust = ANYBODY,
) -> Readout:
    """Read a readout and verify all of it.

    Args:
        directory: where it was saved.
        version: how it is called; None: `readout@` and the beginning of its digest.
        digest: what its digest must be; None: not known.
        backbone: the running backbone; None: not compared.
        trust: whose signature it must carry.

    Raises:
        ArtefactRefused: corrupt, of another backbone, of an unknown schema, or not signed as
            `trust` demands.
    """
    label = f"readout `{version or directory}`"
    sealed = unseal(directory, "readout", _READOUT_FILES, label, digest=digest)
    trust.signer(directory, sealed.digest, label)
    readout = _readout_of(sealed, label)
    refuse_other_backbone(readout.backbone, backbone, label)
    return replace(
        readout, digest=sealed.digest, version=version or f"readout@{sealed.digest[:12]}"
    )


def save_calibration(calibration: Calibration, directory: Path) -> Calibration:
    """Write a calibration; equal content gives equal bytes and an equal digest.

    Returns:
        The same calibration with its digest.

    Raises:
        ArtefactRefused: what would be written would be refused at load.
    """
    files, version = _calibration_files(calibration), schema_version_of(calibration)
    _calibration_of(Sealed(files, "", version), f"calibration for `{directory}`")
    return replace(calibration, digest=seal(directory, "calibration", files, version))


def load_calibration(
    directory: Path,
    *,
    version: str | None = None,
    digest: str | None = None,
    backbone: BackboneIdentity | None = None,
    trust: Trust = ANYBODY,
) -> Calibration:
    """Read a calibration and verify all of it; arguments and errors as `load_readout`."""
    label = f"calibration `{version or directory}`"
    sealed = unseal(
        directory,
        "calibration",
        _CALIBRATION_FILES,
        label,
        digest=digest,
        optional=_OWN_READOUT_FILES,
    )
    trust.signer(directory, sealed.digest, label)
    calibration = _calibration_of(sealed, label)
    refuse_other_backbone(calibration.backbone, backbone, label)
    name = version or f"{calibration.language}@{sealed.digest[:12]}"
    return replace(calibration, digest=sealed.digest, version=name)


def refuse_other_backbone(
    found: BackboneIdentity, running: BackboneIdentity | None, label: str
) -> None:
    """Compare digests with the running backbone's; its name is for people and may differ.

    Raises:
        ArtefactRefused: weights, tokenizer or chat template are not those of the artefact.
    """
    if running is None:
        return
    parts = {
        "weights": (found.weights_digest, running.weights_digest),
        "tokenizer": (found.tokenizer_digest, running.tokenizer_digest),
        "chat template": (found.chat_template_digest, running.chat_template_digest),
    }
    differing = [part for part, (theirs, ours) in parts.items() if theirs != ours]
    if differing:
        theirs, ours = parts[differing[0]]
        raise ArtefactRefused(
            f"{label} was made for another backbone (`{found.name}`): {' and '.join(differing)} "
            f"differ from the running `{running.name}` ({differing[0]} {theirs[:12]}…, running "
            f"{ours[:12]}…); run `recal fit` and `recal recalibrate` on the running backbone, "
            "or serve the one that it was made for"
        )


def _readout_files(readout: Readout) -> dict[str, bytes]:
    fields: dict[str, object] = {
        "schema_version": PLAIN_VERSION,
        "parts": [_part_fields(part) for part in readout.parts],
        **{name: getattr(readout, name) for name in _SHARED_READOUT_FIELDS},
    }
    tensors = {"direction": readout.steering.direction}
    for index, part in enumerate(readout.parts):
        tensors |= {f"weight.{index}": part.linear.weight, f"basis.{index}": part.basis}
    if readout.steering.release.direction is not None:
        tensors[RELEASE_DIRECTION] = readout.steering.release.direction
    if readout.references is not None:
        tensors[REFERENCES] = readout.references.residuals
    without = frozenset(each for each in _OPTIONAL if getattr(readout, each) is None)
    if readout.fallback is not None:
        fields["fallback"] = _own_fields(readout.fallback)
        tensors |= _own_tensors(readout.fallback, FALLBACK_WEIGHT)
    return {
        READOUT_JSON: _json_of(ReadoutRecord, fields, "readout", without),
        READOUT_TENSORS: written(tensors),
    }


def _part_fields(part: ReadoutPart) -> dict[str, object]:
    own = {"rank": part.rank, "bias": part.linear.bias, "share": part.share}
    return {"layer": part.place.layer, "reading": part.place.reading, **own}


_OPTIONAL = ("fallback", "references")
"""Fields of a readout that are left out where there is nothing, as older builds have them."""
_SHARED_READOUT_FIELDS = tuple(
    name
    for name in ReadoutRecord.model_fields
    if name not in ("schema_version", "parts", "fallback")
)
_CALIBRATION_FIELDS = tuple(
    name for name in CalibrationRecord.model_fields if name not in ("schema_version", "own")
)


def schema_version_of(artefact: Readout | Calibration) -> int:
    """The lowest version that carries it, so that older builds read all that they can use."""
    is_owning = isinstance(artefact, Calibration) and artefact.own is not None
    return OWN_READOUT_VERSION if is_owning else PLAIN_VERSION


def _calibration_files(calibration: Calibration) -> dict[str, bytes]:
    fields: dict[str, object] = {
        "schema_version": schema_version_of(calibration),
        **{name: getattr(calibration, name) for name in _CALIBRATION_FIELDS},
    }
    if calibration.own is None:
        without = frozenset({"own"})
        return {CALIBRATION_JSON: _json_of(CalibrationRecord, fields, "calibration", without)}
    fields["own"] = _own_fields(calibration.own)
    return {
        CALIBRATION_JSON: _json_of(CalibrationRecord, fields, "calibration"),
        CALIBRATION_TENSORS: written(_own_tensors(calibration.own, OWN_WEIGHT)),
    }


def _own_fields(own: OwnReadout) -> dict[str, object]:
    parts = [{**part.place._asdict(), "bias": part.linear.bias} for part in own.parts]
    return {"method": own.method, "parts": parts, "statistics": own.statistics}


def _own_tensors(own: OwnReadout, named: str) -> dict[str, Tensor]:
    return {f"{named}.{index}": part.linear.weight for index, part in enumerate(own.parts)}


def _json_of(
    record: type[ReadoutRecord] | type[CalibrationRecord],
    fields: Mapping[str, object],
    what: str,
    without: frozenset[str] = frozenset(),
) -> bytes:
    try:
        # Not strict: the numbers of numpy become plain ones here.
        valid = record.model_validate(fields, from_attributes=True, strict=False)
    except ValidationError as error:
        raise ArtefactRefused(f"the {what} cannot be saved: it {first_fault(error)}") from None
    return canonical_json(valid.model_dump(mode="json", exclude=set(without)))


def _readout_of(sealed: Sealed, label: str) -> Readout:
    record, tensors = _content_of(sealed, label)
    _check_tensors(tensors, record, label)
    for name in ("direction", RELEASE_DIRECTION):
        _refuse_other_norm(tensors.get(name), name, label)
    own, kept = record.fallback, record.references
    fallback = None if own is None else _own_readout_of(own, tensors, FALLBACK_WEIGHT)
    references = None if kept is None else References(tensors[REFERENCES], kept.scores)
    return Readout(
        parts=tuple(_part_of(part, tensors, i) for i, part in enumerate(record.parts)),
        source_languages=record.source_languages,
        steering=_steering_of(record.steering, tensors),
        backbone=_backbone_of(record.backbone),
        source_threshold=record.source_threshold,
        source_statistics=record.source_statistics,
        created=record.created,
        histogram=_histogram_of(record.histogram),
        provenance=record.provenance,
        fallback=fallback,
        references=references,
    )


def _refuse_other_norm(direction: Tensor | None, name: str, label: str) -> None:
    norm = 1.0 if direction is None else float(direction.norm())
    if abs(norm - 1.0) > _UNIT_NORM_TOLERANCE:
        raise ArtefactRefused(
            f"the steering {name} of {label} has norm {norm:.6f}, not 1; run `recal fit` again"
        )


def _steering_of(record: SteeringRecord, tensors: Mapping[str, Tensor]) -> Steering:
    statistics = record.statistics
    release = Release(
        direction=tensors.get(RELEASE_DIRECTION),
        **{name: getattr(record.release, name) for name in ReleaseRecord.model_fields},
    )
    return Steering(
        direction=tensors["direction"],
        layer=record.layer,
        coefficient=record.coefficient,
        typical_norm=record.typical_norm,
        form=record.form,
        scope=record.scope,
        statistics=None if statistics is None else SteeringStatistics(**statistics.model_dump()),
        release=release,
    )


def _content_of(sealed: Sealed, label: str) -> tuple[ReadoutRecord, dict[str, Tensor]]:
    """Record and tensors as the present schema has them."""
    raw = sealed.files[READOUT_JSON]
    tensors = parsed(sealed.files[READOUT_TENSORS], label, READOUT_TENSORS, again=_REFIT)
    if sealed.schema_version != 1:
        record = parse(ReadoutRecord, raw, label, READOUT_JSON)
        _refuse_other_version(record.schema_version, sealed, label, READOUT_JSON)
        return record, tensors
    old = parse(ReadoutRecordV1, raw, label, READOUT_JSON)
    try:
        return upgrade_record(old), upgrade_tensors(tensors)
    except ValidationError as error:
        raise ArtefactRefused(f"`{READOUT_JSON}` of {label} {first_fault(error)}") from None


def _part_of(record: PartRecord, tensors: Mapping[str, Tensor], index: int) -> ReadoutPart:
    return ReadoutPart(
        place=Place(record.layer, record.reading),
        linear=LinearReadout(tensors[f"weight.{index}"], record.bias),
        basis=tensors[f"basis.{index}"],
        share=record.share,
    )


def _check_tensors(tensors: Mapping[str, Tensor], record: ReadoutRecord, label: str) -> None:
    """All tensors are there, of the right type and shape and finite, and no other."""
    d_model = record.backbone.d_model
    shapes: dict[str, tuple[int, ...]] = {"direction": (d_model,)}
    for index, part in enumerate(record.parts):
        shapes |= {f"weight.{index}": (d_model,), f"basis.{index}": (d_model, part.rank)}
    if record.steering.release.layer is not None:
        shapes[RELEASE_DIRECTION] = (d_model,)
    if record.fallback is not None:
        shapes |= _own_shapes(record.fallback, FALLBACK_WEIGHT, d_model)
    if record.references is not None:
        shapes[REFERENCES] = (len(record.references.scores), len(record.parts), d_model)
    refuse_odd(tensors, shapes, label, again=_REFIT)


def _refuse_other_version(version: int, sealed: Sealed, label: str, name: str) -> None:
    if version != sealed.schema_version:
        raise ArtefactRefused(
            f"`{name}` of {label} is of schema version {version}, and its manifest says "
            f"{sealed.schema_version}; save it again"
        )


def _calibration_of(sealed: Sealed, label: str) -> Calibration:
    record = parse(CalibrationRecord, sealed.files[CALIBRATION_JSON], label, CALIBRATION_JSON)
    _refuse_other_version(record.schema_version, sealed, label, CALIBRATION_JSON)
    fields = {name: getattr(record, name) for name in _CALIBRATION_FIELDS}
    fields["thresholds"] = Thresholds(record.thresholds.steer, record.thresholds.release)
    fields["backbone"] = _backbone_of(record.backbone)
    fields["histogram"] = _histogram_of(record.histogram)
    raw = sealed.files.get(CALIBRATION_TENSORS)
    if (record.own is None) != (raw is None):
        raise ArtefactRefused(
            f"{label} has {'no ' if raw is None else ''}`{CALIBRATION_TENSORS}`, and "
            f"{'no' if record.own is None else 'an'} own readout that it belongs to; "
            f"run `{_RECALIBRATE}` again"
        )
    if record.own is not None and raw is not None:
        tensors = parsed(raw, label, CALIBRATION_TENSORS, again=_RECALIBRATE)
        shapes = _own_shapes(record.own, OWN_WEIGHT, record.backbone.d_model)
        refuse_odd(tensors, shapes, label, again=_RECALIBRATE)
        fields["own"] = _own_readout_of(record.own, tensors, OWN_WEIGHT)
    return Calibration(**fields)


def _own_shapes(record: OwnReadoutRecord, named: str, d_model: int) -> dict[str, tuple[int, ...]]:
    return {f"{named}.{index}": (d_model,) for index in range(len(record.parts))}


def _own_readout_of(
    record: OwnReadoutRecord, tensors: Mapping[str, Tensor], named: str
) -> OwnReadout:
    parts = (
        OwnPart(
            Place(part.layer, part.reading), LinearReadout(tensors[f"{named}.{index}"], part.bias)
        )
        for index, part in enumerate(record.parts)
    )
    return OwnReadout(tuple(parts), record.method, record.statistics)


def _backbone_of(record: BackboneRecord) -> BackboneIdentity:
    return BackboneIdentity(**record.model_dump())


def _histogram_of(record: HistogramRecord | None) -> ScoreHistogram | None:
    if record is None:
        return None
    return ScoreHistogram(record.edges, record.harmful, record.harmless)
