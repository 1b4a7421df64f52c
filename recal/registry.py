"""Steps 4 to 6: register, promote, roll back. The only writer of the MLflow registry."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from recal.calibration_tags import tags_of
from recal.errors import (
    NothingBefore,
    PromotionRefused,
    RegistryConflict,
    RegistryError,
    UnknownVersion,
)
from recal.promotion import HARMFUL_TAG, UNTOUCHED_HARMFUL_TAG, Chain, PromotionRules, measured_of
from recal.registry_connection import Connection, connection_of
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import BackboneIdentity
from services.readout.manifest import members
from services.readout.naming import (
    ARTEFACT_PATH,
    BACKBONE_TAG,
    CALIBRATION,
    CHAMPION,
    DIGEST_TAG,
    KIND_TAG,
    LANGUAGE_TAG,
    READOUT,
    READOUT_DIGEST_TAG,
    WEIGHTS_DIGEST_TAG,
    backbone_slug,
    calibration_model,
    readout_model,
    version_label,
)

if TYPE_CHECKING:
    from recal.evaluation.behaviour import LanguageResult

_EXPERIMENT = "recal"
_REPORTS_PATH = "reports"
_CHAIN_TAG = "champion_chain"
_ALREADY_THERE = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True)
class RegisteredVersion:
    """One immutable version of a registered model."""

    model: str
    version: int
    created: str
    """RFC 3339 time of the registration."""
    is_champion: bool
    tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """How it is called everywhere else, e.g. `sw@7`."""
        return version_label(self.model, self.version)

    @property
    def digest(self) -> str:
        """Digest of its artefact."""
        return self.tags.get(DIGEST_TAG, "")


@dataclass(frozen=True)
class Promotion:
    """One move of the alias."""

    model: str
    from_version: int | None
    to_version: int
    overruled: tuple[str, ...] = ()
    """Objections that a reason overruled."""
    notes: tuple[str, ...] = ()
    """What an operator should know, e.g. languages that wait for their calibration."""


class Registry:
    """Readouts and calibrations in MLflow.

    Moving an alias cannot be made atomic in MLflow: promote from one place at a time. A conflict
    is noticed afterwards, not prevented.
    """

    def __init__(self, connection: Connection) -> None:
        """Write through `connection`, which is made at the first call."""
        self._connection = connection

    @property
    def tracking_uri(self) -> str:
        """Where the registry is; serving reads from the same place."""
        return self._connection.tracking_uri

    def register_readout(
        self, directory: Path, *, reports: Sequence[Path] = ()
    ) -> RegisteredVersion:
        """Register a saved readout as a new version of its backbone's model.

        Args:
            directory: where it was saved; it is verified first.
            reports: files that are kept beside it.

        Raises:
            ArtefactRefused: it does not load.
            RegistryUnreachable: the registry does not answer.
        """
        readout = load_readout(directory)
        tags = {
            KIND_TAG: READOUT,
            DIGEST_TAG: readout.digest,
            WEIGHTS_DIGEST_TAG: readout.backbone.weights_digest,
            "places": " ".join(map(str, readout.places)),
        }
        model = readout_model(readout.backbone.name)
        return self._register(model, directory, readout.backbone, tags, reports, {})

    def register_calibration(
        self,
        directory: Path,
        *,
        evaluation: LanguageResult | None = None,
        reports: Sequence[Path] = (),
    ) -> RegisteredVersion:
        """Register a saved calibration as a new version of its language's model.

        Args:
            directory: where it was saved; it is verified first.
            evaluation: what held-out prompts say of it; promotion looks at it.
            reports: files that are kept beside it.

        Raises:
            ArtefactRefused: it does not load.
            RegistryError: the evaluation is of another language.
            RegistryUnreachable: the registry does not answer.
        """
        calibration = load_calibration(directory)
        if evaluation is not None and evaluation.language != calibration.language:
            raise RegistryError(
                f"the evaluation is of `{evaluation.language}`, the calibration of "
                f"`{calibration.language}`; register it with its own"
            )
        measured = measured_of(evaluation) if evaluation is not None else {}
        shown = (HARMFUL_TAG, UNTOUCHED_HARMFUL_TAG)
        told = {name: repr(measured[name]) for name in shown if name in measured}
        tags = {**tags_of(calibration), **told}
        model = calibration_model(calibration.backbone.name, calibration.language)
        metrics = {**calibration.metrics, **measured}
        return self._register(model, directory, calibration.backbone, tags, reports, metrics)

    def promote(
        self,
        model: str,
        version: int,
        *,
        force_reason: str | None = None,
        rules: PromotionRules | None = None,
    ) -> Promotion:
        """Make a version the champion; serving notices within its polling interval.

        With a new readout, promote its calibrations first and the readout last: until then the
        last good set serves, and afterwards all languages move at once.

        Args:
            model: name of the registered model, see `services.readout.naming`.
            version: what is to serve.
            force_reason: why it is to serve in spite of objections; recorded.
            rules: what a calibration must have.

        Raises:
            UnknownVersion: it is not registered.
            PromotionRefused: there are objections and no reason to overrule them.
            RegistryConflict: somebody else moved the alias meanwhile.
            RegistryUnreachable: the registry does not answer.
        """
        wanted = self._version(model, version)
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
        self._move(model, champion, version, reason, objections)
        self._write_chain(model, chain.promoted(version, after=champion))
        notes = self._notes(wanted)
        return Promotion(model, champion, version, overruled=objections, notes=notes)

    def rollback(self, model: str, *, reason: str = "") -> Promotion:
        """Make the champion before the present one the champion again.

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
        target = self._version(model, earlier.versions[-1])
        self._move(model, champion, target.version, reason or "rollback", ())
        self._write_chain(model, earlier)
        return Promotion(model, champion, target.version, notes=self._notes(target))

    def list_versions(self, model: str) -> tuple[RegisteredVersion, ...]:
        """All versions of a registered model, newest first.

        Raises:
            UnknownVersion: the model is not registered.
            RegistryUnreachable: the registry does not answer.
        """
        champion, _ = self._champion(model)
        with self._connection.asking(model) as client:
            found = client.search_model_versions(f"name = '{model}'", max_results=1000)
        versions = [_registered(version, champion) for version in found]
        return tuple(sorted(versions, key=lambda v: v.version, reverse=True))

    def champions(self, backbone_name: str) -> tuple[RegisteredVersion, ...]:
        """Every promoted version of a backbone, its readout and calibrations, ordered by model.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        return self._champions_of(backbone_slug(backbone_name))

    def _champions_of(self, slug: str) -> tuple[RegisteredVersion, ...]:
        with self._connection.asking(slug) as client:
            models = client.search_registered_models(
                f"tags.{BACKBONE_TAG} = '{slug}'", max_results=1000
            )
        aliased = {m.name: int(m.aliases[CHAMPION]) for m in models if CHAMPION in m.aliases}
        return tuple(self._version(name, aliased[name]) for name in sorted(aliased))

    def _register(
        self,
        model: str,
        directory: Path,
        backbone: BackboneIdentity,
        tags: Mapping[str, str],
        reports: Sequence[Path],
        metrics: Mapping[str, float],
    ) -> RegisteredVersion:
        for report in reports:
            if not report.is_file():
                raise RegistryError(f"the report `{report}` is not a file; leave it out or make it")
        kinds = {name: tags[name] for name in (KIND_TAG, LANGUAGE_TAG) if name in tags}
        self._ensure_model(model, {BACKBONE_TAG: backbone_slug(backbone.name), **kinds})
        with self._connection.asking(model) as client:
            run = client.create_run(self._experiment(client), run_name=model, tags=dict(tags))
            try:
                for path in members(directory, model):
                    client.log_artifact(run.info.run_id, str(path), ARTEFACT_PATH)
                for report in reports:
                    client.log_artifact(run.info.run_id, str(report), _REPORTS_PATH)
                client.log_batch(run.info.run_id, metrics=_batch(metrics))
            except BaseException:
                client.set_terminated(run.info.run_id, status="FAILED")
                raise
            client.set_terminated(run.info.run_id)
            # A server takes no bare path for a source, only a run's artefacts.
            source = f"runs:/{run.info.run_id}/{ARTEFACT_PATH}"
            version = client.create_model_version(
                model,
                source=source,
                run_id=run.info.run_id,
                tags=dict(tags),
                await_creation_for=0,  # only hosted registries create versions later
            )
        return _registered(version, champion=None)

    def _ensure_model(self, model: str, tags: Mapping[str, str]) -> None:
        with self._connection.asking(model) as client:
            try:
                client.create_registered_model(model, tags=dict(tags))
            except MlflowException as error:
                if error.error_code != _ALREADY_THERE:
                    raise

    def _experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(_EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(_EXPERIMENT, self._connection.artifact_location))
        except MlflowException as error:
            if error.error_code != _ALREADY_THERE:
                raise
            return str(client.get_experiment_by_name(_EXPERIMENT).experiment_id)

    def _version(self, model: str, version: int) -> RegisteredVersion:
        with self._connection.asking(version_label(model, version)) as client:
            return _registered(client.get_model_version(model, str(version)), champion=None)

    def _champion(self, model: str) -> tuple[int | None, Chain]:
        with self._connection.asking(model) as client:
            registered = client.get_registered_model(model)
        alias = registered.aliases.get(CHAMPION)
        chain = Chain.parse(registered.tags.get(_CHAIN_TAG, ""))
        return (None if alias is None else int(alias)), chain

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
        found, _ = self._champion(model)
        if found != end:
            raise RegistryConflict(
                f"`{model}` has champion {found}, not {end}: somebody else promoted at the same "
                "time; look at `recal versions` and decide again"
            )

    def _write_chain(self, model: str, chain: Chain) -> None:
        # After the alias: a crash between the two must not make a rollback go forward.
        with self._connection.asking(model) as client:
            client.set_registered_model_tag(model, _CHAIN_TAG, str(chain))

    def _notes(self, promoted: RegisteredVersion) -> tuple[str, ...]:
        """Which promoted artefacts wait for one another."""
        champions = self._champions_of(promoted.model.split(".")[1])
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
                f"{', '.join(waiting)} belong to another readout; these languages keep the last "
                "good calibration of this readout, or have none, until theirs are promoted",
            )
        return ()


def open_registry(state_directory: Path, environ: Mapping[str, str] = os.environ) -> Registry:
    """The registry that `MLFLOW_TRACKING_URI` names, or a sqlite one in the state directory."""
    return Registry(connection_of(state_directory, environ))


def _batch(metrics: Mapping[str, float]) -> list[Metric]:
    at = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(name, value, at, step=0) for name, value in metrics.items()]


def _registered(version: Any, champion: int | None) -> RegisteredVersion:
    # A version is an int from sqlite and a str over REST.
    number = int(version.version)
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    aliases = getattr(version, "aliases", None) or ()
    return RegisteredVersion(
        model=version.name,
        version=number,
        created=created.isoformat(timespec="seconds"),
        is_champion=number == champion or CHAMPION in aliases,
        tags=dict(version.tags),
    )
