"""Moving aliases: promote, canary, shadow, roll back, revoke. Everything else lies below it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from recal.errors import NothingBefore, PromotionRefused, RegistryConflict, UnknownVersion
from recal.promotion import Chain, Objection, PromotionRules
from recal.registry.admission import (
    refuse_challenger,
    refuse_revocation,
    refuse_revoked,
    refuse_shadow,
    refuse_share,
    stated,
)
from recal.registry.connection import connection_of
from recal.registry.notes import other_data, waiting
from recal.registry.registered import AliasMove, RegisteredVersion, Standing
from recal.registry.registrar import Registrar
from services.readout.naming import (
    CALIBRATION,
    CANARY_SHARE_TAG,
    CHALLENGER,
    CHAMPION,
    KIND_TAG,
    REVOKED_TAG,
    SHADOW,
    version_label,
)

_CHAIN_TAG = "champion_chain"

PROMOTION, ROLLBACK, CANARY = "promotion", "rollback", "canary"
"""What tags that record a move begin with, beside the alias `shadow`."""


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
        last good set serves, and afterwards all languages move at once. A canary or a shadow of
        the same version ends.

        Args:
            model: name of the registered model, see `services.readout.naming`.
            version: what is to serve.
            force_reason: why it is to serve in spite of objections; recorded.
            rules: what a calibration must have; nothing is asked of a readout.
            dry_run: look at everything and write nothing; objections are told, not raised.

        Raises:
            UnknownVersion: it is not registered.
            VersionRevoked: it must not decide again.
            PromotionRefused: there are objections and no reason to overrule them.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        before, wanted = self.standing(model), self.version(model, version)
        refuse_revoked(wanted)
        reason = stated(force_reason)
        champion = self._carrier(before, CHAMPION)
        move = AliasMove(
            before,
            CHAMPION,
            version,
            canary_share=None if before.challenger == version else before.canary_share,
            ends=tuple(a for a in wanted.aliases if a != CHAMPION),
            notes=(*self._notes(wanted), *other_data(wanted, champion)),
        )
        weighed = (rules or PromotionRules()).objections(
            wanted.tags, champion.tags if champion is not None else None
        )
        move = _judged(move, wanted, weighed, reason, dry_run=dry_run)
        if not (dry_run or move.changes_nothing):
            self._crown(move, PROMOTION, reason)
            self._write_chain(model, _chain(before).promoted(version, after=before.champion))
        return move

    def rollback(self, model: str, *, reason: str = "", dry_run: bool = False) -> AliasMove:
        """Make the champion before the present one the champion again; revoked ones are left out.

        Args:
            model: name of the registered model.
            reason: why; recorded.
            dry_run: look at everything, and write nothing.

        Raises:
            UnknownVersion: the model is not registered, or has no champion.
            NothingBefore: there is no earlier champion that may serve.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        before = self.standing(model)
        if before.champion is None:
            raise UnknownVersion(f"`{model}` has no champion; promote a version first")
        earlier, skipped = _chain(before).before(before.champion), []
        while earlier.versions:
            target = self.version(model, earlier.versions[-1])
            if target.revoked is None and target.version != before.champion:
                break
            skipped += [f"`{target.label}` is revoked and was left out"] * bool(target.revoked)
            earlier = Chain(earlier.versions[:-1])
        else:
            raise NothingBefore(
                f"`{version_label(model, before.champion)}` is the first champion of `{model}` "
                f"that may serve{''.join(f'; {each}' for each in skipped)}; promote another "
                "version instead"
            )
        move = AliasMove(
            before,
            CHAMPION,
            target.version,
            canary_share=None if before.challenger == target.version else before.canary_share,
            ends=tuple(a for a in target.aliases if a != CHAMPION),
            notes=(*skipped, *self._notes(target)),
        )
        if not dry_run:
            self._crown(move, ROLLBACK, stated(reason))
            self._write_chain(model, earlier)
        return move

    def canary(
        self,
        model: str,
        version: int,
        share: float,
        *,
        force_reason: str | None = None,
        rules: PromotionRules | None = None,
        dry_run: bool = False,
    ) -> AliasMove:
        """Let a version decide for a share of a language's traffic, beside the champion.

        It must be as good as one that is promoted, but may lie below the champion by whatever
        margin: to find that out it is tried. A shadow of the same version ends.

        Args:
            model: name of the registered model.
            version: the challenger; its readout must be the champion's.
            share: of the traffic, in (0, 1].
            force_reason: why it is to decide in spite of objections; recorded.
            rules: what a calibration must have.
            dry_run: look at everything and write nothing; objections are told, not raised.

        Raises:
            ValueError: the share is none.
            UnknownVersion: it is not registered.
            VersionRevoked: it must not decide again.
            WrongStanding: it is a readout, the champion itself, of another readout, or there is
                no champion.
            PromotionRefused: there are objections and no reason to overrule them.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        refuse_share(share)
        before, wanted = self.standing(model), self.version(model, version)
        refuse_revoked(wanted)
        refuse_challenger(wanted, before, self._readout_of(wanted))
        reason = stated(force_reason)
        ends = (SHADOW,) if SHADOW in wanted.aliases else ()
        move = AliasMove(before, CHALLENGER, version, canary_share=share, ends=ends)
        weighed = (rules or PromotionRules()).objections(wanted.tags)
        move = _judged(move, wanted, weighed, reason, dry_run=dry_run)
        if not (dry_run or move.changes_nothing):
            self._set_challenger(move, reason)
        return move

    def end_canary(self, model: str, *, reason: str = "", dry_run: bool = False) -> AliasMove:
        """Let the champion decide for all traffic again.

        Raises:
            UnknownVersion: the model is not registered, or has no challenger.
            RegistryUnreachable: the registry does not answer.
        """
        return self._end(model, CHALLENGER, CANARY, stated(reason), dry_run=dry_run)

    def shadow(
        self, model: str, version: int, *, reason: str = "", dry_run: bool = False
    ) -> AliasMove:
        """Score a version beside the champion; it never acts, so nothing is asked of it.

        Raises:
            UnknownVersion: it is not registered.
            VersionRevoked: it must not decide again.
            WrongStanding: it is a readout, decides already, or is of another readout than serves.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        before, wanted = self.standing(model), self.version(model, version)
        refuse_revoked(wanted)
        refuse_shadow(wanted, self._readout_of(wanted))
        move = AliasMove(before, SHADOW, version, canary_share=before.canary_share)
        if not (dry_run or move.changes_nothing):
            self._record(move, SHADOW, stated(reason))
            self._set(model, SHADOW, version)
        return move

    def end_shadow(self, model: str, *, reason: str = "", dry_run: bool = False) -> AliasMove:
        """Score nothing beside the champion any more.

        Raises:
            UnknownVersion: the model is not registered, or has no shadow.
            RegistryUnreachable: the registry does not answer.
        """
        return self._end(model, SHADOW, SHADOW, stated(reason), dry_run=dry_run)

    def revoke(
        self, model: str, version: int, reason: str, *, force: bool = False, dry_run: bool = False
    ) -> RegisteredVersion:
        """Say that a version must never decide again; no server loads it, and nothing moves to it.

        Args:
            model: name of the registered model.
            version: what is revoked.
            reason: why; recorded, and shown wherever somebody tries to use it.
            force: though it carries an alias. As challenger or shadow it ends; as champion it
                leaves its language without a calibration, until another version is promoted.
            dry_run: look at everything, and write nothing.

        Raises:
            ValueError: there is no reason.
            UnknownVersion: it is not registered.
            VersionRevoked: it was revoked before.
            WrongStanding: it carries an alias and nothing is forced; the message says what to do
                first.
            RegistryUnreachable: the registry does not answer.
        """
        why, wanted = stated(reason), self.version(model, version)
        refuse_revocation(wanted, why, force=force)
        if not dry_run:
            with self._connection.asking(wanted.label) as client:
                client.set_model_version_tag(model, str(version), REVOKED_TAG, why)
            # The champion's stays: servers take its language off, and `recal doctor` says so.
            self._take(model, tuple(a for a in wanted.aliases if a != CHAMPION))
        return replace(wanted, tags={**wanted.tags, REVOKED_TAG: why})

    def _carrier(self, standing: Standing, alias: str) -> RegisteredVersion | None:
        number = standing.aliases.get(alias)
        return None if number is None else self.version(standing.model, number)

    def _readout_of(self, version: RegisteredVersion) -> RegisteredVersion | None:
        """The readout that serves the backbone of a version; None: none is promoted."""
        model = ".".join([*version.model.split(".")[:2], "readout"])
        try:
            return self._carrier(self.standing(model), CHAMPION)
        except UnknownVersion:
            return None

    def _notes(self, wanted: RegisteredVersion) -> tuple[str, ...]:
        return waiting(wanted, self._champions_of(wanted.model.split(".")[1]))

    def _crown(self, move: AliasMove, verb: str, reason: str) -> None:
        self._record(move, verb, reason)
        if move.to_version is not None:
            self._set(move.model, CHAMPION, move.to_version)
        self._take(move.model, move.ends)  # afterwards: until then it decides for all anyway

    def _set_challenger(self, move: AliasMove, reason: str) -> None:
        # Never a moment in which a version decides for a share that was meant for another.
        model, version = move.model, move.to_version
        self._record(move, CANARY, reason)
        if move.from_version not in (None, version):
            self._take(model, (CHALLENGER,))
        with self._connection.asking(model) as client:
            client.set_registered_model_tag(model, CANARY_SHARE_TAG, repr(move.canary_share))
        if version is not None:
            self._set(model, CHALLENGER, version)
        self._take(model, move.ends)

    def _end(self, model: str, alias: str, verb: str, reason: str, *, dry_run: bool) -> AliasMove:
        before = self.standing(model)
        if alias not in before.aliases:
            raise UnknownVersion(f"`{model}` has no {alias}; see `recal list`")
        share = before.canary_share if alias != CHALLENGER else None
        move = AliasMove(before, alias, None, canary_share=share)
        if not dry_run:
            self._record(move, verb, reason)
            self._take(model, (alias,))
        return move

    def _record(self, move: AliasMove, verb: str, reason: str) -> None:
        """Write on the version what is about to happen to it."""
        record: dict[str, object] = {
            "from": move.from_version,
            "to": move.to_version,
            "reason": reason,
            "overruled": [str(each) for each in move.overruled],
        }
        if move.alias == CHALLENGER:
            record["share"] = move.canary_share
        version = move.to_version if move.to_version is not None else move.from_version
        tag = f"{verb}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        with self._connection.asking(move.model) as client:
            client.set_model_version_tag(move.model, str(version), tag, json.dumps(record))

    def _set(self, model: str, alias: str, version: int) -> None:
        """Move an alias, and look whether it held."""
        with self._connection.asking(version_label(model, version)) as client:
            client.set_registered_model_alias(model, alias, str(version))
        found = self.standing(model).aliases.get(alias)
        if found != version:
            raise RegistryConflict(
                f"`{model}` has {alias} {found}, not {version}: somebody else moved it at the same "
                "time; look at `recal list` and decide again"
            )

    def _take(self, model: str, aliases: tuple[str, ...]) -> None:
        with self._connection.asking(model) as client:
            for alias in aliases:
                client.delete_registered_model_alias(model, alias)
            if CHALLENGER in aliases:
                client.delete_registered_model_tag(model, CANARY_SHARE_TAG)

    def _write_chain(self, model: str, chain: Chain) -> None:
        # After the alias: a crash between the two must not make a rollback go forward.
        with self._connection.asking(model) as client:
            client.set_registered_model_tag(model, _CHAIN_TAG, str(chain))


def _chain(standing: Standing) -> Chain:
    return Chain.parse(standing.tags.get(_CHAIN_TAG, ""))


def _judged(
    move: AliasMove,
    wanted: RegisteredVersion,
    weighed: tuple[Objection, ...],
    reason: str,
    *,
    dry_run: bool,
) -> AliasMove:
    """The move with what speaks against it.

    Raises:
        PromotionRefused: there are objections and no reason to overrule them.
    """
    if not weighed or wanted.tags.get(KIND_TAG) != CALIBRATION or move.changes_nothing:
        return move
    if reason:
        return replace(move, overruled=weighed)
    if dry_run:
        return replace(move, objections=weighed)
    raise PromotionRefused(
        f"`{wanted.label}` does not become {move.alias}: {'; '.join(map(str, weighed))}; mend it, "
        "or use `--force --reason …`, which is recorded"
    )


def open_registry(state_directory: Path, environ: Mapping[str, str] = os.environ) -> Registry:
    """The registry that `MLFLOW_TRACKING_URI` names, or a sqlite one in the state directory."""
    return Registry(connection_of(state_directory, environ))
