"""The nouns of a registry: a version, who decides for a model's traffic, a move of an alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recal.promotion import Objection
from services.readout.naming import (
    CANARY_SHARE_TAG,
    CHALLENGER,
    CHAMPION,
    DIGEST_TAG,
    KIND_TAG,
    REVOKED_TAG,
    SHADOW,
    version_label,
)

ALIASES = (CHAMPION, CHALLENGER, SHADOW)
"""Aliases that mean something to serving, in the order in which they matter."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One immutable version of a registered model."""

    model: str
    version: int
    created: str
    """RFC 3339 time of the registration."""
    aliases: tuple[str, ...]
    """Those that it carries, in the order of `ALIASES`."""
    tags: Mapping[str, str]
    run_id: str = ""
    """MLflow's id of the run that holds its artefact, its reports and its metrics."""

    @property
    def label(self) -> str:
        """How it is called everywhere else, e.g. `sw@7`."""
        return version_label(self.model, self.version)

    @property
    def digest(self) -> str:
        """Digest of its artefact."""
        return self.tags.get(DIGEST_TAG, "")

    @property
    def is_champion(self) -> bool:
        """Whether it serves."""
        return CHAMPION in self.aliases

    @property
    def revoked(self) -> str | None:
        """Why it must never serve again; None: nobody revoked it."""
        return self.tags.get(REVOKED_TAG)


@dataclass(frozen=True)
class Standing:
    """Who decides for the traffic of one registered model."""

    model: str
    kind: str
    """`readout` or `calibration`."""
    aliases: Mapping[str, int]
    """Version by alias; of `ALIASES` alone."""
    tags: Mapping[str, str]
    """Of the registered model."""

    @property
    def what(self) -> str:
        """`readout`, or the tag of a language."""
        return self.model.rsplit(".", 1)[-1]

    @property
    def champion(self) -> int | None:
        """The version that serves."""
        return self.aliases.get(CHAMPION)

    @property
    def challenger(self) -> int | None:
        """The version that decides for a share of the traffic."""
        return self.aliases.get(CHALLENGER)

    @property
    def shadow(self) -> int | None:
        """The version that is scored beside the champion and never acts."""
        return self.aliases.get(SHADOW)

    @property
    def canary_share(self) -> float | None:
        """The challenger's share of the traffic, in (0, 1]; None where it has none that is one."""
        try:
            share = float(self.tags[CANARY_SHARE_TAG])
        except (KeyError, ValueError):
            return None
        return share if 0.0 < share <= 1.0 else None

    def carried_by(self, version: int) -> tuple[str, ...]:
        """The aliases of a version."""
        return tuple(alias for alias in ALIASES if self.aliases.get(alias) == version)

    def label_of(self, alias: str) -> str | None:
        """The version that carries an alias, e.g. `sw@7`."""
        version = self.aliases.get(alias)
        return None if version is None else version_label(self.model, version)


@dataclass(frozen=True)
class AliasMove:
    """One change of who decides for a model's traffic, made or planned."""

    before: Standing
    """Who decided."""
    alias: str
    """What moves: one of `ALIASES`."""
    to_version: int | None
    """Who carries it afterwards; None: nobody."""
    canary_share: float | None = None
    """The challenger's share of the traffic afterwards, where there is one."""
    ends: tuple[str, ...] = ()
    """Aliases that are taken from the same version, for it gets a higher one."""
    objections: tuple[Objection, ...] = ()
    """Why it would be refused: only of a dry run, and not where a reason overrules them."""
    overruled: tuple[Objection, ...] = ()
    """What a reason overruled."""
    notes: tuple[str, ...] = ()
    """What an operator should know, e.g. languages that wait for their calibration."""

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return self.before.model

    @property
    def from_version(self) -> int | None:
        """Who carried the alias before; None: nobody."""
        return self.before.aliases.get(self.alias)

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as wanted already."""
        same_share = self.alias != CHALLENGER or self.canary_share == self.before.canary_share
        return self.from_version == self.to_version and same_share and not self.ends


def registered(version: Any, standing: Standing | None) -> RegisteredVersion:
    """A version as MLflow gives it; `standing` knows its aliases, which not every store tells."""
    # A version is an int from sqlite and a str over REST.
    number = int(version.version)
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return RegisteredVersion(
        model=version.name,
        version=number,
        created=created.isoformat(timespec="seconds"),
        aliases=standing.carried_by(number) if standing is not None else (),
        tags=dict(version.tags),
        run_id=version.run_id or "",
    )


def standing_of(model: Any) -> Standing:
    """Who decides, by a registered model as MLflow gives it."""
    return Standing(
        model=model.name,
        kind=model.tags.get(KIND_TAG, ""),
        aliases={name: int(model.aliases[name]) for name in ALIASES if name in model.aliases},
        tags=dict(model.tags),
    )
