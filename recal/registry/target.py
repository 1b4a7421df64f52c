"""How a version is named on the command line: `sw`, `sw@7`, `readout@champion`."""

from __future__ import annotations

from typing import NamedTuple

from recal.errors import UnknownVersion
from recal.languages import refuse_unknown_tag
from recal.registry.registered import ALIASES, RegisteredVersion
from recal.registry.versions import Versions
from services.readout.naming import READOUT, calibration_model, readout_model


class Target(NamedTuple):
    """A registered model of a backbone, and which of its versions."""

    what: str
    """`readout`, or the tag of a language."""
    at: str
    """A number, an alias, or nothing."""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `WHAT`, `WHAT@VERSION` or `WHAT@ALIAS`.

        Raises:
            ValueError: it is none of these.
        """
        what, sign, at = text.partition("@")
        if what != READOUT:
            refuse_unknown_tag(what)
        numbered = at.isascii() and at.isdigit() and int(at) > 0
        if sign and not numbered and at not in ALIASES:
            raise ValueError(
                f"`{text}` names no version; write e.g. `{what}@7`, or one of "
                f"{', '.join(f'`{what}@{alias}`' for alias in ALIASES)}"
            )
        return cls(what, at)

    def model(self, backbone_name: str) -> str:
        """Name of the registered model."""
        if self.what == READOUT:
            return readout_model(backbone_name)
        return calibration_model(backbone_name, self.what)

    def version(self, registry: Versions, backbone_name: str) -> RegisteredVersion:
        """The version that is named; without one the champion, else the newest.

        Raises:
            UnknownVersion: there is none.
            RegistryUnreachable: the registry does not answer.
        """
        model = self.model(backbone_name)
        if self.at.isdigit():
            return registry.version(model, int(self.at))
        aliases = registry.standing(model).aliases
        if self.at and self.at not in aliases:
            raise UnknownVersion(
                f"no version of `{model}` has the alias `{self.at}`; see `recal list {self.what}`"
            )
        number = aliases.get(self.at or ALIASES[0])
        return registry.newest(model) if number is None else registry.version(model, number)
