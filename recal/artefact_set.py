"""Artefacts in a directory: one, or a readout and its calibrations anywhere below."""

from __future__ import annotations

from pathlib import Path

from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import Calibration, Readout
from services.readout.manifest import MANIFEST, manifest_of
from services.readout.naming import READOUT
from services.readout.signature import ANYBODY, Trust


def artefacts_in(directory: Path) -> list[Path]:
    """The artefact that a directory is, or those that lie below it, in the order of their paths.

    Names that begin with a dot are artefacts that are being written, and are left out.

    Raises:
        ArtefactRefused: there is none.
    """
    if (directory / MANIFEST).is_file():
        return [directory]
    found = [
        path.parent
        for path in sorted(directory.rglob(MANIFEST))
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]
    if not found:
        raise ArtefactRefused(
            f"`{directory}` holds no artefact (no `{MANIFEST}`); give the folder of a readout or a "
            "calibration, or one with some below it"
        )
    return found


def load_artefact(directory: Path, *, trust: Trust = ANYBODY) -> Readout | Calibration:
    """The readout or calibration that lies there, verified.

    Raises:
        ArtefactRefused: it is corrupt, of an unknown schema, or not signed as `trust` demands.
    """
    kind = manifest_of(directory, f"artefact `{directory}`").kind
    if kind == READOUT:
        return load_readout(directory, trust=trust)
    return load_calibration(directory, trust=trust)
