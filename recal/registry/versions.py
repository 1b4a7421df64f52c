"""Reading the registry: models, versions, who decides, and what a version holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.artifacts import download_artifacts

from recal.errors import UnknownVersion
from recal.registry.connection import Connection, shown
from recal.registry.registered import RegisteredVersion, Standing, registered, standing_of
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import Calibration, Readout
from services.readout.naming import (
    BACKBONE_TAG,
    CHAMPION,
    KIND_TAG,
    READOUT,
    backbone_slug,
    version_label,
)

REPORTS_PATH = "reports"
"""Folder of a run under which the reports of its evaluation lie."""

_PAGE = 1000


def verified(version: RegisteredVersion, directory: Path) -> Calibration | Readout:
    """What a version's files hold.

    Raises:
        ArtefactRefused: it is not what was registered.
    """
    load = load_readout if version.tags.get(KIND_TAG) == READOUT else load_calibration
    return load(directory, version=version.label, digest=version.digest)


@dataclass(frozen=True)
class RunRecord:
    """What MLflow keeps of the run behind a version."""

    run_id: str
    status: str
    artifact_uri: str
    metrics: Mapping[str, float]
    reports: tuple[str, ...]
    """Paths below the run's artefacts."""
    inputs: Mapping[str, str]
    """Digest of each data set that went in, by its name."""


class Versions:
    """Everything that can be read of the registry; nothing is written."""

    def __init__(self, connection: Connection) -> None:
        """Read through `connection`, which is made at the first call."""
        self._connection = connection

    @property
    def tracking_uri(self) -> str:
        """Where the registry is; serving reads from the same place."""
        return self._connection.tracking_uri

    @property
    def shown_uri(self) -> str:
        """The same for people's eyes: without user and password."""
        return shown(self.tracking_uri)

    def standing(self, model: str) -> Standing:
        """Who decides for a model's traffic.

        Raises:
            UnknownVersion: the model is not registered.
            RegistryUnreachable: the registry does not answer.
        """
        with self._connection.asking(model) as client:
            return standing_of(client.get_registered_model(model))

    def standings(self, backbone_name: str) -> tuple[Standing, ...]:
        """Who decides, for each registered model of a backbone, ordered by model.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        return self._standings_of(backbone_slug(backbone_name))

    def version(self, model: str, version: int) -> RegisteredVersion:
        """One version.

        Raises:
            UnknownVersion: it is not registered.
            RegistryUnreachable: the registry does not answer.
        """
        with self._connection.asking(version_label(model, version)) as client:
            found = client.get_model_version(model, str(version))
            return registered(found, standing_of(client.get_registered_model(model)))

    def list_versions(self, model: str) -> tuple[RegisteredVersion, ...]:
        """All versions of a registered model, newest first.

        Raises:
            UnknownVersion: the model is not registered.
            RegistryUnreachable: the registry does not answer.
        """
        standing = self.standing(model)
        found, token = [], None
        while True:
            with self._connection.asking(model) as client:
                page = client.search_model_versions(
                    f"name = '{model}'", max_results=_PAGE, page_token=token
                )
            found += [registered(version, standing) for version in page]
            token = page.token
            if not token:
                return tuple(sorted(found, key=lambda v: v.version, reverse=True))

    def newest(self, model: str) -> RegisteredVersion:
        """The version that was registered last.

        Raises:
            UnknownVersion: the model is not registered, or all its versions were deleted.
            RegistryUnreachable: the registry does not answer.
        """
        versions = self.list_versions(model)
        if not versions:
            raise UnknownVersion(f"`{model}` has no version; register one first")
        return versions[0]

    def champions(self, backbone_name: str) -> tuple[RegisteredVersion, ...]:
        """Every promoted version of a backbone, its readout and calibrations, ordered by model.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        return self._champions_of(backbone_slug(backbone_name))

    def carriers(self, standings: Iterable[Standing]) -> tuple[RegisteredVersion, ...]:
        """Every version that carries an alias of one of these models.

        Raises:
            UnknownVersion: an alias is of a version that was deleted.
            RegistryUnreachable: the registry does not answer.
        """
        found = []
        for standing in standings:
            for number in sorted(set(standing.aliases.values())):
                with self._connection.asking(version_label(standing.model, number)) as client:
                    version = client.get_model_version(standing.model, str(number))
                found.append(registered(version, standing))
        return tuple(found)

    def artefact(self, version: RegisteredVersion) -> Calibration | Readout:
        """What a version holds, downloaded and verified against its digest.

        Raises:
            ArtefactRefused: it is not what was registered.
            RegistryUnreachable: the registry does not answer.
        """
        with self.files(version) as directory:
            return verified(version, directory)

    @contextmanager
    def files(self, version: RegisteredVersion) -> Iterator[Path]:
        """The files of a version, downloaded for a while and not looked at.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        with TemporaryDirectory() as folder, self._connection.asking(version.label) as client:
            # Not `models:/…`, which MLflow 3.17 resolves against the process-wide registry.
            uri = client.get_model_version_download_uri(version.model, str(version.version))
            found = download_artifacts(
                uri,
                dst_path=folder,
                tracking_uri=self.tracking_uri,
                registry_uri=self.tracking_uri,
            )
            yield Path(found)

    def run(self, version: RegisteredVersion) -> RunRecord:
        """The run behind a version.

        Raises:
            UnknownVersion: the run was deleted.
            RegistryUnreachable: the registry does not answer.
        """
        with self._connection.asking(f"the run of {version.label}") as client:
            run = client.get_run(version.run_id)
            reports = client.list_artifacts(version.run_id, REPORTS_PATH)
        inputs = run.inputs.dataset_inputs if run.inputs is not None else []
        return RunRecord(
            run_id=version.run_id,
            status=run.info.status,
            artifact_uri=shown(run.info.artifact_uri),
            metrics=dict(sorted(run.data.metrics.items())),
            reports=tuple(report.path for report in reports),
            inputs={each.dataset.name: each.dataset.digest for each in inputs},
        )

    def _standings_of(self, slug: str) -> tuple[Standing, ...]:
        found, token = [], None
        while True:
            with self._connection.asking(slug) as client:
                page = client.search_registered_models(
                    f"tags.{BACKBONE_TAG} = '{slug}'", max_results=_PAGE, page_token=token
                )
            found += [standing_of(model) for model in page]
            token = page.token
            if not token:
                return tuple(sorted(found, key=lambda standing: standing.model))

    def _champions_of(self, slug: str) -> tuple[RegisteredVersion, ...]:
        champions = (
            replace(each, aliases={CHAMPION: each.aliases[CHAMPION]})
            for each in self._standings_of(slug)
            if CHAMPION in each.aliases
        )
        return self.carriers(champions)
