"""Registering: a saved artefact becomes an immutable version, beside the run that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric
from mlflow.exceptions import MlflowException

from recal.registry.draft import Draft, draft_calibration, draft_readout
from recal.registry.links import inputs_of
from recal.registry.registered import RegisteredVersion, registered
from recal.registry.versions import REPORTS_PATH, Versions, verified
from services.readout.manifest import SIGNATURE, members
from services.readout.naming import (
    ARTEFACT_PATH,
    BACKBONE_TAG,
    KIND_TAG,
    LANGUAGE_TAG,
    SIGNED_BY_TAG,
    backbone_slug,
)
from services.readout.signature import sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from recal.evaluation.behaviour import LanguageResult

_EXPERIMENT = "recal"
_DIGEST_LENGTH = 36
"""MLflow's longest digest of a data set; the version's tags hold all of it."""
_ALREADY_THERE = "RESOURCE_ALREADY_EXISTS"


class Registrar(Versions):
    """Reads, and registers new versions. None of them serves before an alias is moved to it."""

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
        return self.register(draft_readout(directory, reports))

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
            RegistryError: the evaluation is of another calibration, or a report is no file.
            RegistryUnreachable: the registry does not answer.
        """
        return self.register(draft_calibration(directory, evaluation, reports))

    def register(self, draft: Draft) -> RegisteredVersion:
        """Make a draft a version; its files, reports and numbers lie in a run of its own.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        tags, model = dict(draft.tags), draft.model
        kinds = {name: tags[name] for name in (KIND_TAG, LANGUAGE_TAG) if name in tags}
        self._ensure_model(model, {BACKBONE_TAG: backbone_slug(draft.backbone), **kinds})
        with self._connection.asking(model) as client:
            run = client.create_run(self._experiment(client), run_name=model, tags=tags)
            try:
                self._fill(client, run.info.run_id, draft)
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
                tags=tags,
                await_creation_for=0,  # only hosted registries create versions later
            )
        return registered(version, standing=None)

    def sign(self, version: RegisteredVersion, key: Ed25519PrivateKey) -> str:
        """Put a signature beside the files of a version, which stay as they are.

        Replicas that refused it for want of one look again by themselves.

        Args:
            version: it is downloaded and verified first.
            key: signs it.

        Returns:
            Id of the key.

        Raises:
            ArtefactRefused: it is not what was registered.
            RegistryUnreachable: the registry does not answer.
        """
        with self.files(version) as directory:
            signer = sign(directory, verified(version, directory).digest, key)
            with self._connection.asking(version.label) as client:
                client.log_artifact(version.run_id, str(directory / SIGNATURE), ARTEFACT_PATH)
                client.set_model_version_tag(
                    version.model, str(version.version), SIGNED_BY_TAG, signer
                )
        return signer

    def _fill(self, client: MlflowClient, run_id: str, draft: Draft) -> None:
        for path in members(draft.directory, draft.model):
            client.log_artifact(run_id, str(path), ARTEFACT_PATH)
        for report in draft.reports:
            client.log_artifact(run_id, str(report), REPORTS_PATH)
        client.log_batch(run_id, metrics=_batch(draft.metrics))
        inputs = inputs_of(draft.tags)
        if inputs:
            client.log_inputs(run_id, [_data_set(name, inputs[name]) for name in inputs])

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


def _data_set(name: str, digest: str) -> DatasetInput:
    """A data set by its hash alone: prompts are harmful requests, and never leave their file."""
    source = json.dumps({"sha256": digest})
    return DatasetInput(Dataset(name, digest[:_DIGEST_LENGTH], "code", source))


def _batch(metrics: Mapping[str, float]) -> list[Metric]:
    at = int(datetime.now(UTC).timestamp() * 1000)
    return [Metric(name, value, at, step=0) for name, value in metrics.items()]
