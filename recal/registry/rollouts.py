"""Moving aliases: promote and roll back. Everything else about the registry is below it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from recal.errors import NothingBefore, PromotionRefused, RegistryConflict, UnknownVersion
from recal.promotion import Chain, PromotionRules
from recal.registry.connection import connection_of
from recal.registry.registered import AliasMove, RegisteredVersion
from recal.registry.registrar import Registrar
from services.readout.naming import (
    CALIBRATION,
    CHAMPION,
    KIND_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    version_label,
)

_CHAIN_TAG = "champion_chain"


class Registry(Registrar):
    """Readouts and calibrations in MLflow: reads, registers, and moves aliases.

    Moving an alias cannot be made atomic in MLflow: promote from one place at a time. A conflict
    is noticed afterwards, not prevented.
    """

    def promote(
        self,
        model: str,
        version: int,
        *,
        force_reason: str | None = None,
        rules: PromotionRules | None = None,
        dry_run: bool = False,
    ) -> AliasMove:
        """Make a version the champion; serving notices within its polling interval.

        With a new readout, promote its calibrations first and the readout last: until then the
        last good set serves, and afterwards all languages move at once.

        Args:
            model: name of the registered model, see `services.readout.naming`.
            version: what is to serve.
            force_reason: why it is to serve in spite of objections; recorded.
            rules: what a calibration must have.
            dry_run: look at everything, and write nothing.

        Raises:
            UnknownVersion: it is not registered.
            PromotionRefused: there are objections and no reason to overrule them.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        wanted = self.version(model, version)
        objections: tuple[str, ...] = ()
        if wanted.tags.get(KIND_TAG) == CALIBRATION:
            objections = (rules or PromotionRules()).objections(wanted.tags)
        reason = (force_reason or "").strip()
        if objections and not reason:
            raise PromotionRefused(
                f"`{wanted.label}` was not promoted: {'; '.join(objections)}; mend it, or promote "
                "it with `--force --reason …`, which is recorded"
            )
        champion, chain = self._champion(model)
        if not dry_run:
            self._move(model, champion, version, reason, objections)
            self._write_chain(model, chain.promoted(version, after=champion))
        notes = self._notes(wanted)
        return AliasMove(model, champion, version, overruled=objections, notes=notes)

    def rollback(self, model: str, *, reason: str = "", dry_run: bool = False) -> AliasMove:
        """Make the champion before the present one the champion again.

        Args:
            model: name of the registered model.
            reason: why; recorded.
            dry_run: look at everything, and write nothing.

        Raises:
            UnknownVersion: the model is not registered, or has no champion.
            NothingBefore: the present champion is the first.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        champion, chain = self._champion(model)
        if champion is None:
            raise UnknownVersion(f"`{model}` has no champion; promote a version first")
        earlier = chain.before(champion)
        if not earlier.versions:
            raise NothingBefore(
                f"`{version_label(model, champion)}` is the first champion of `{model}`; promote "
                "another version instead"
            )
        target = self.version(model, earlier.versions[-1])
        if not dry_run:
            self._move(model, champion, target.version, reason or "rollback", ())
            self._write_chain(model, earlier)
        return AliasMove(model, champion, target.version, notes=self._notes(target))

    def _champion(self, model: str) -> tuple[int | None, Chain]:
        standing = self.standing(model)
        return standing.champion, Chain.parse(standing.tags.get(_CHAIN_TAG, ""))

    def _move(
        self, model: str, start: int | None, end: int, reason: str, overruled: Sequence[str]
    ) -> None:
        """Record the move, make it, and look whether it held."""
        at = datetime.now(UTC)
        record = {"from": start, "to": end, "reason": reason, "overruled": list(overruled)}
        with self._connection.asking(version_label(model, end)) as client:
            client.set_model_version_tag(
                model, str(end), f"promotion.{at:%Y%m%dT%H%M%S.%fZ}", json.dumps(record)
            )
            client.set_registered_model_alias(model, CHAMPION, str(end))
        found = self.standing(model).champion
        if found != end:
            raise RegistryConflict(
                f"`{model}` has champion {found}, not {end}: somebody else promoted at the same "
                "time; look at `recal list` and decide again"
            )

    def _write_chain(self, model: str, chain: Chain) -> None:
        # After the alias: a crash between the two must not make a rollback go forward.
        with self._connection.asking(model) as client:
            client.set_registered_model_tag(model, _CHAIN_TAG, str(chain))

    def _notes(self, promoted: RegisteredVersion) -> tuple[str, ...]:
        """Which promoted artefacts wait for one another, once this one is promoted."""
        others = self._champions_of(promoted.model.split(".")[1])
        champions = [v for v in others if v.model != promoted.model] + [promoted]
        readouts = [v.digest for v in champions if v.tags.get(KIND_TAG) == READOUT]
        waiting = [
            v.label
            for v in champions
            if v.tags.get(KIND_TAG) == CALIBRATION
            and v.tags.get(READOUT_DIGEST_TAG) not in readouts
        ]
        is_calibration = promoted.tags.get(KIND_TAG) == CALIBRATION
        if is_calibration and promoted.label in waiting:
            return (f"`{promoted.label}` serves once the readout that it was made for is promoted",)
        if not is_calibration and waiting:
            return (
                f"{', '.join(sorted(waiting))} belong to another readout; these languages keep the "
                "last good calibration of this readout, or have none, until theirs are promoted",
            )
        return ()


def open_registry(state_directory: Path, environ: Mapping[str, str] = os.environ) -> Registry:
    """The registry that `MLFLOW_TRACKING_URI` names, or a sqlite one in the state directory."""
    return Registry(connection_of(state_directory, environ))
