"""Everything about a version as plain data, and what tells two of them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from recal.registry.registered import RegisteredVersion
from recal.registry.versions import RunRecord
from services.readout.bundle import BackboneIdentity, Calibration, Readout
from services.readout.naming import KIND_TAG

_COMPARED = ("thresholds", "made", "readout", "backbone", "evaluation")
"""Sections that `differences` looks at; the others differ between any two versions."""


class Difference(NamedTuple):
    """One field in which two versions differ; None where one of them has none."""

    field: str
    """With its section, e.g. `thresholds.steer`."""
    first: Any
    second: Any


def describe(
    version: RegisteredVersion, artefact: Calibration | Readout, run: RunRecord | None
) -> dict[str, Any]:
    """A version in sections, ready for JSON.

    Args:
        version: as the registry has it.
        artefact: what it holds, verified.
        run: the run behind it; None where that was deleted.
    """
    if isinstance(artefact, Calibration):
        sections = _calibration_sections(artefact)
    else:
        sections = _readout_sections(artefact)
    metrics = dict(run.metrics) if run is not None else {}
    return {
        "version": {
            "label": version.label,
            "model": version.model,
            "kind": version.tags.get(KIND_TAG, ""),
            "registered": version.created,
            "aliases": list(version.aliases),
            "revoked": version.revoked,
            "digest": version.digest,
        },
        **sections,
        "evaluation": metrics,
        "run": asdict(run) | {"metrics": len(run.metrics)} if run is not None else None,
        "tags": {k: v for k, v in sorted(version.tags.items()) if not _is_record(k)},
        "history": list(_history(version.tags)),
    }


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Difference, ...]:
    """In what two descriptions differ, section by section."""
    found = []
    for section in _COMPARED:
        one, other = dict(_flat(first.get(section))), dict(_flat(second.get(section)))
        for name in (*one, *(each for each in other if each not in one)):
            if one.get(name) != other.get(name):
                found.append(Difference(f"{section}.{name}", one.get(name), other.get(name)))
    return tuple(found)


def _calibration_sections(made: Calibration) -> dict[str, Any]:
    return {
        "thresholds": {
            "steer": made.thresholds.steer,
            "release": made.thresholds.release,
            "estimate": made.threshold,
            "posterior_sd": made.posterior_sd,
        },
        "made": {
            "language": made.language,
            "estimator": made.estimator,
            "k": made.k,
            "routing": made.routing,
            "own_readout": made.own.method if made.own is not None else None,
            "vacuous": made.vacuous,
            "created": made.created,
            "examples": len(made.example_hashes),
            "evidence": dict(made.evidence),
            "provenance": dict(made.provenance),
        },
        "readout": {"digest": made.readout_digest},
        "backbone": _backbone(made.backbone),
        "example_hashes": list(made.example_hashes),
    }


def _readout_sections(made: Readout) -> dict[str, Any]:
    steering, release = made.steering, made.steering.release
    return {
        "thresholds": {"source": made.source_threshold},
        "made": {
            "created": made.created,
            "source_languages": list(made.source_languages),
            "provenance": dict(made.provenance),
        },
        "readout": {
            "digest": made.digest,
            "reads": made.reads,
            "steers_at": steering.layer,
            "steers_by": f"{steering.form.value} {steering.coefficient:g}, {steering.scope.value}",
            "releases_by": f"{release.form.value}, {release.scope.value}",
            "fallback": made.fallback.method if made.fallback is not None else None,
        },
        "backbone": _backbone(made.backbone),
    }


def _backbone(identity: BackboneIdentity) -> dict[str, Any]:
    return asdict(identity)


def _flat(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(section, Mapping):
        return
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_record(tag: str) -> bool:
    """Whether a tag is the record of a move: a verb, a point and a time."""
    verb, point, at = tag.partition(".")
    return bool(verb and point) and at.endswith("Z") and at[:8].isdigit()


def _history(tags: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Every move to this version, in the order in which they were made."""
    records = [(tag.partition(".")[2], tag.partition(".")[0], tags[tag]) for tag in tags]
    for at, verb, text in sorted(each for each in records if _is_record(f"{each[1]}.{each[0]}")):
        try:
            record = json.loads(text)
        except json.JSONDecodeError:
            record = {"says": text}
        yield {"at": at, "move": verb, **record}
