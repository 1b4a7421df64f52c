"""Artefacts of earlier schema versions as the present one writes them, a set at a time.

To write an artefact anew gives it another digest, and calibrations name their readout's. So a
readout and its calibrations are migrated together, and each says in its provenance what it was.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recal.artefact_set import artefacts_in, load_artefact
from services.errors import ArtefactRefused
from services.readout.artefact import save_calibration, save_readout, schema_version_of
from services.readout.bundle import Calibration, Readout
from services.readout.manifest import manifest_of

MIGRATED_FROM = "migrated_from"
"""Provenance: the digest that an artefact had before; with the schema version it was of."""
MIGRATED_FROM_SCHEMA = "migrated_from_schema"


@dataclass(frozen=True)
class Step:
    """One artefact that is written anew."""

    path: Path
    """Where it lies."""
    artefact: Readout | Calibration
    """As it will be, but for its own digest."""
    from_schema: int
    from_digest: str
    to_digest: str

    @property
    def to_schema(self) -> int:
        """The version that is written."""
        return schema_version_of(self.artefact)


@dataclass(frozen=True)
class Migration:
    """What is to be done to a set."""

    directory: Path
    steps: tuple[Step, ...]
    """Calibrations first and readouts last, so that what serves from the set moves at once."""
    kept: tuple[Path, ...]
    """Artefacts that are of the present schema, and need no other readout's digest."""


def plan(directory: Path) -> Migration:
    """Look at a set and say what is to be written; nothing is.

    Args:
        directory: an artefact, or a folder with some below it.

    Raises:
        ArtefactRefused: there is none, one does not load, or is of a schema version that this build
            does not know; or a calibration is to be migrated whose readout is not there.
    """
    found = {path: load_artefact(path) for path in artefacts_in(directory)}
    schemas = {path: manifest_of(path, f"artefact `{path}`").schema_version for path in found}
    readouts = [_readout_step(path, readout, schemas[path]) for path, readout in _readouts(found)]
    moved = {step.from_digest: step.to_digest for step in readouts if step}
    there = {readout.digest for _, readout in _readouts(found)} | set(moved.values())
    steps: list[Step] = []
    for path, artefact in found.items():
        if isinstance(artefact, Calibration):
            step = _calibration_step(path, artefact, schemas[path], moved, there)
            steps += [step] if step else []
    steps += [step for step in readouts if step]
    written = {step.path for step in steps}
    return Migration(directory, tuple(steps), tuple(path for path in found if path not in written))


def _readouts(found: Mapping[Path, Readout | Calibration]) -> list[tuple[Path, Readout]]:
    return [(path, each) for path, each in found.items() if isinstance(each, Readout)]


def _readout_step(path: Path, readout: Readout, schema: int) -> Step | None:
    if schema == schema_version_of(readout):
        return None
    provenance = {**readout.provenance, **_origin(readout.digest, schema)}
    return _step(path, replace(readout, provenance=provenance), schema, readout.digest)


def _calibration_step(
    path: Path,
    calibration: Calibration,
    schema: int,
    moved: Mapping[str, str],
    there: set[str],
) -> Step | None:
    now = moved.get(calibration.readout_digest, calibration.readout_digest)
    if schema == schema_version_of(calibration) and now == calibration.readout_digest:
        return None
    if now not in there:
        raise ArtefactRefused(
            f"calibration `{path}` belongs to the readout {now[:12]}…, which is not in the same "
            "folder: its digest may change too; give a folder that holds both"
        )
    provenance = {**calibration.provenance, **_origin(calibration.digest, schema)}
    changed = replace(calibration, readout_digest=now, provenance=provenance)
    return _step(path, changed, schema, calibration.digest)


def _origin(digest: str, schema: int) -> dict[str, str]:
    # No time: the same artefact migrated twice is the same artefact, so that a stopped migration
    # goes on where it was.
    return {MIGRATED_FROM: digest, MIGRATED_FROM_SCHEMA: str(schema)}


def _step(path: Path, artefact: Readout | Calibration, schema: int, digest: str) -> Step:
    with tempfile.TemporaryDirectory() as scratch:
        saved = _save(artefact, Path(scratch) / "artefact")
    return Step(path, artefact, schema, digest, saved.digest)


def _save(artefact: Readout | Calibration, directory: Path) -> Readout | Calibration:
    if isinstance(artefact, Readout):
        return save_readout(artefact, directory)
    return save_calibration(artefact, directory)


def migrate(migration: Migration, out: Path | None = None) -> None:
    """Write what was planned.

    Args:
        migration: as `plan` gave it.
        out: where the whole set is written, what is kept included; None: in its own place.

    Raises:
        ArtefactRefused: `out` is there already.
    """
    if out is not None:
        if out.exists():
            raise ArtefactRefused(f"`{out}` is there already; give a folder that is not")
        for path in migration.kept:
            shutil.copytree(path, _place(path, migration, out))
    for step in migration.steps:
        _save(step.artefact, _place(step.path, migration, out))


def _place(path: Path, migration: Migration, out: Path | None) -> Path:
    return path if out is None else out / path.relative_to(migration.directory)
