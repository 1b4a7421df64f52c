"""Local copies of registered artefacts by digest, and which of them made up the last good set."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.artefact import load_calibration, load_readout
from services.readout.assembly import Load, Loaders, assemble
from services.readout.bundle import BackboneIdentity, Bundle, Calibration, Readout
from services.readout.canary import Challenger
from services.readout.files import write_whole
from services.readout.manifest import canonical_json, parse, read_file
from services.readout.revocation import refuse_revoked
from services.readout.schema import SHA256, Language, Name, Record, Sha256
from services.readout.signature import ANYBODY, Trust

LoadedT = TypeVar("LoadedT")


class Kept(Record):
    """One artefact of the last good set."""

    version: Name
    digest: Sha256


class KeptChallenger(Kept):
    """A challenger of the last good set."""

    share: Annotated[float, Field(gt=0.0, le=1.0)]


class LastGoodSet(Record):
    """`last_good/<backbone>.json`: what served when the registry was last seen.

    Challengers and shadows belong to it: a replica that restarts while the registry is away decides
    every request as the others go on doing.
    """

    readout: Kept
    calibrations: Mapping[Language, Kept]
    challengers: Mapping[Language, KeptChallenger] = Field(default_factory=dict)
    shadows: Mapping[Language, Kept] = Field(default_factory=dict)


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
            readout=_kept(bundle.readout),
            calibrations={la: _kept(each) for la, each in bundle.calibrations.items()},
            challengers={
                la: KeptChallenger(**_kept(each.calibration).model_dump(), share=each.share)
                for la, each in bundle.challengers.items()
            },
            shadows={la: _kept(each) for la, each in bundle.shadows.items()},
        )
        # without challengers and shadows it is what older builds read
        content = canonical_json(last_good.model_dump(mode="json", exclude_defaults=True))
        write_whole(self._last_good, content)

    def last_good(
        self,
        backbone: BackboneIdentity | None,
        revoked: Mapping[str, str],
        trust: Trust = ANYBODY,
    ) -> Bundle:
        """The set that was remembered last, loaded from here.

        A calibration that no longer loads, or is revoked, is left out and named in the bundle.

        Args:
            backbone: the running one; None: not compared.
            revoked: why, by digest.
            trust: whose signatures count.

        Raises:
            RegistryUnreachable: none is remembered.
            ArtefactRefused: its readout does not load, is revoked, of another backbone, or not
                signed as `trust` demands.
        """
        if not self._last_good.exists():
            raise RegistryUnreachable("no last good set is kept on this machine")
        raw = read_file(self._last_good, "the last good set")
        last_good = parse(LastGoodSet, raw, "the last good set", self._last_good.name)

        def loaded(load: Callable[..., LoadedT], kept: Kept) -> LoadedT:
            refuse_revoked(kept.version, kept.digest, revoked)
            return load(
                self._artefacts / kept.digest,
                version=kept.version,
                digest=kept.digest,
                backbone=backbone,
                trust=trust,
            )

        def challenger(kept: KeptChallenger) -> Challenger:
            return Challenger(loaded(load_calibration, kept), kept.share)

        def calibrations(kept: Mapping[str, Kept]) -> dict[str, Load[Calibration]]:
            return {la: partial(loaded, load_calibration, each) for la, each in kept.items()}

        return assemble(
            loaded(load_readout, last_good.readout),
            Loaders(
                calibrations(last_good.calibrations),
                {la: partial(challenger, each) for la, each in last_good.challengers.items()},
                calibrations(last_good.shadows),
            ),
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


def _kept(artefact: Readout | Calibration) -> Kept:
    return Kept(version=artefact.version, digest=artefact.digest)
