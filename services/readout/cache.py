"""Local copies of registered artefacts by digest, and which of them made up the last good set."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.artefact import load_calibration, load_readout
from services.readout.assembly import assemble
from services.readout.bundle import BackboneIdentity, Bundle
from services.readout.manifest import canonical_json, parse, read_file
from services.readout.schema import SHA256, Language, Name, Record, Sha256
from services.readout.signature import ANYBODY, Trust

LoadedT = TypeVar("LoadedT")


class Kept(Record):
    """One artefact of the last good set."""

    version: Name
    digest: Sha256


class LastGoodSet(Record):
    """`last_good/<backbone>.json`: what served when the registry was last seen."""

    readout: Kept
    calibrations: Mapping[Language, Kept]


class ArtefactCache:
    """Artefacts on local disk by digest. Processes may share one directory."""

    def __init__(self, directory: Path, name: str) -> None:
        """Keep artefacts under `directory`, and the last good set there as `name`."""
        self._artefacts = directory / "artefacts"
        self._last_good = directory / "last_good" / f"{name}.json"

    def load(
        self, digest: str, load: Callable[[Path], LoadedT], fetch: Callable[[Path], Path]
    ) -> LoadedT:
        """Load an artefact from here, or fetch it first; only what loads is kept.

        Args:
            digest: digest of the artefact, the name of its copy.
            load: verifies and loads a directory; it must check the digest.
            fetch: brings the artefact into an empty directory and returns where it lies.

        Raises:
            ArtefactRefused: what was fetched does not load.
            RegistryUnreachable: it is not here and cannot be fetched.
        """
        if not re.match(SHA256, digest):
            raise ArtefactRefused(f"the registry's digest {digest[:80]!r} is not a sha256")
        kept = self._artefacts / digest
        if kept.is_dir():
            try:
                return load(kept)
            except ArtefactRefused:
                # The copy decayed, or the artefact itself is wrong: the registry's says which.
                pass
        with self._scratch() as scratch:
            fetched = fetch(scratch)
            loaded = load(fetched)
            self._keep(fetched, kept)
        return loaded

    def remember(self, bundle: Bundle) -> None:
        """Write down that `bundle` is the last good set."""
        last_good = LastGoodSet(
            readout=Kept(version=bundle.readout.version, digest=bundle.readout.digest),
            calibrations={
                language: Kept(version=calibration.version, digest=calibration.digest)
                for language, calibration in bundle.calibrations.items()
            },
        )
        self._last_good.parent.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(dir=self._last_good.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(canonical_json(last_good.model_dump(mode="json")))
        Path(path).rename(self._last_good)

    def last_good(self, backbone: BackboneIdentity | None, trust: Trust = ANYBODY) -> Bundle:
        """The set that was remembered last, loaded from here.

        A calibration that no longer loads is left out and named in `Bundle.refused`.

        Raises:
            RegistryUnreachable: none is remembered.
            ArtefactRefused: its readout does not load, is of another backbone, or not signed as
                `trust` demands.
        """
        if not self._last_good.exists():
            raise RegistryUnreachable("no last good set is kept on this machine")
        raw = read_file(self._last_good, "the last good set")
        last_good = parse(LastGoodSet, raw, "the last good set", self._last_good.name)
        readout = load_readout(
            self._artefacts / last_good.readout.digest,
            version=last_good.readout.version,
            digest=last_good.readout.digest,
            backbone=backbone,
            trust=trust,
        )
        return assemble(
            readout,
            {
                language: partial(
                    load_calibration,
                    self._artefacts / kept.digest,
                    version=kept.version,
                    digest=kept.digest,
                    backbone=backbone,
                    trust=trust,
                )
                for language, kept in last_good.calibrations.items()
            },
        )

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        self._artefacts.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".fetching.", dir=self._artefacts))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _keep(self, fetched: Path, kept: Path) -> None:
        shutil.rmtree(kept, ignore_errors=True)
        # It fails when another process kept the same artefact meanwhile.
        with suppress(OSError):
            fetched.rename(kept)
