"""Revoked artefacts: never served again, also when the registry forgets that it revoked them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from services.errors import ArtefactRefused
from services.readout.bundle import Bundle, Calibration
from services.readout.files import write_whole
from services.readout.manifest import canonical_json, parse, read_file
from services.readout.schema import Note, Record, Sha256

logger = logging.getLogger(__name__)

_LABEL = "the list of revoked artefacts"
_SHOWN = 200


@runtime_checkable
class KnowsRevoked(Protocol):
    """A source that knows which artefacts were revoked; it asks nobody for that."""

    def revoked(self) -> Mapping[str, str]:
        """Why, by digest.

        Raises:
            ArtefactRefused: what was written down cannot be read.
        """


class RevokedRecord(Record):
    """`revoked/<backbone>.json`: every digest that was ever seen revoked, and why."""

    revoked: Mapping[Sha256, Note]


class Revocations:
    """What was seen revoked, on local disk; it only grows. Processes may share one directory.

    A revocation is of content, by its digest: neither a tag that is deleted nor the same artefact
    under another version brings it back.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Keep the list under `directory` as `name`."""
        self._path = directory / "revoked" / f"{name}.json"
        self._seen: dict[str, str] = {}

    def add(self, revoked: Mapping[str, str]) -> None:
        """Remember digests, and why each was revoked.

        Raises:
            ArtefactRefused: what was written down cannot be read.
        """
        self._seen |= {digest: why[:_SHOWN] for digest, why in revoked.items()}
        written = self._written()
        if self._seen.keys() <= written.keys():
            return
        try:
            content = canonical_json({"revoked": {**self._seen, **written}})
            write_whole(self._path, content)
        except OSError as error:
            logger.warning("%s was not written down: %s", _LABEL, type(error).__name__)

    def known(self) -> dict[str, str]:
        """Why, by digest.

        Raises:
            ArtefactRefused: what was written down cannot be read.
        """
        return {**self._seen, **self._written()}

    def _written(self) -> Mapping[str, str]:
        if not self._path.exists():
            return {}
        try:
            raw = read_file(self._path, _LABEL)
            return parse(RevokedRecord, raw, _LABEL, self._path.name).revoked
        except ArtefactRefused as error:
            raise ArtefactRefused(
                f"{error}; nothing is loaded that may be on it. Restore `{self._path}`, or delete "
                "it where every revoked version still has its tag in the registry"
            ) from None


def refuse_revoked(label: str, digest: str, revoked: Mapping[str, str]) -> None:
    """Refuse what is on the list.

    Raises:
        ArtefactRefused: it is.
    """
    if digest in revoked:
        why = revoked[digest]
        raise ArtefactRefused(
            f"`{label}` is revoked{f' ({why})' if why else ''}; promote another version. The same "
            "content stays revoked under any version, so make it again if it was right after all"
        )


def spared(bundle: Bundle, revoked: Mapping[str, str]) -> Bundle | None:
    """A bundle without what is revoked: the same object where nothing is, None with its readout."""
    if bundle.readout.digest in revoked:
        return None
    if not any(each.digest in revoked for each in bundle.loaded):
        return bundle

    def is_spared(calibration: Calibration) -> bool:
        return calibration.digest not in revoked

    return replace(
        bundle,
        calibrations={la: each for la, each in bundle.calibrations.items() if is_spared(each)},
        challengers={
            la: each for la, each in bundle.challengers.items() if is_spared(each.calibration)
        },
        shadows={la: each for la, each in bundle.shadows.items() if is_spared(each)},
    )
