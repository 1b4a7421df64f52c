"""Promoted artefacts from a directory: `readout/` and `calibrations/<language>/`."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from services.errors import RegistryUnreachable
from services.readout.artefact import load_calibration, load_readout
from services.readout.assembly import Loaders, assemble
from services.readout.bundle import BackboneIdentity, Bundle
from services.readout.signature import ANYBODY, Trust

READOUT = "readout"
CALIBRATIONS = "calibrations"


class DirectorySource:
    """A directory that an operator fills; whatever lies there is promoted, as champions.

    It knows no challengers, shadows or revocations: whoever rolls out step by step keeps a
    registry, and whoever revokes an artefact here takes it away.

    The directory itself may be a link, so that a whole set can be replaced in one step.
    """

    def __init__(
        self,
        directory: Path,
        *,
        backbone: BackboneIdentity | None = None,
        trust: Trust = ANYBODY,
    ) -> None:
        """Read from `directory`; refuse artefacts that are not of `backbone`, when given.

        Args:
            directory: holds `readout/` and `calibrations/<language>/`.
            backbone: the running one.
            trust: whose signatures artefacts must carry.
        """
        self._directory = directory
        self._backbone = backbone
        self._trust = trust

    def fingerprint(self) -> str:
        """Names, sizes and times of all files.

        Raises:
            RegistryUnreachable: the directory is not there or cannot be read.
        """
        root = self._root()
        try:
            return self._seen(root)
        except OSError as error:
            raise RegistryUnreachable(
                f"the artefact directory `{root}` cannot be read ({type(error).__name__}), or is "
                "being written"
            ) from None

    def _seen(self, root: Path) -> str:
        digest = hashlib.sha256(str(root).encode())
        for directory in (root / READOUT, *self._languages(root).values()):
            for path in sorted(directory.glob("*")):
                status = path.lstat()
                seen = (str(path.relative_to(root)), status.st_size, status.st_mtime_ns)
                digest.update(repr((*seen, status.st_ino)).encode())
        return digest.hexdigest()

    def fetch(self) -> Bundle:
        """Load the readout and every language's calibration.

        Raises:
            ArtefactRefused: there is no readout, or it was refused.
            RegistryUnreachable: the directory is not there.
        """
        root = self._root()
        champions = {
            language: partial(
                load_calibration, directory, backbone=self._backbone, trust=self._trust
            )
            for language, directory in self._languages(root).items()
        }
        readout = load_readout(root / READOUT, backbone=self._backbone, trust=self._trust)
        return assemble(readout, Loaders(champions))

    def _root(self) -> Path:
        if not self._directory.is_dir():
            raise RegistryUnreachable(
                f"the artefact directory `{self._directory}` is not there; check the settings"
            )
        return self._directory.resolve()

    @staticmethod
    def _languages(root: Path) -> dict[str, Path]:
        # Names that begin with a dot are artefacts that are being written.
        found = (path for path in (root / CALIBRATIONS).glob("*") if path.name[0] != ".")
        return {path.name: path for path in sorted(found) if path.is_dir()}
