"""Promoted artefacts from an MLflow registry: its aliases, read by the client alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.artefact import load_calibration, load_readout
from services.readout.assembly import assemble
from services.readout.bundle import BackboneIdentity, Bundle, Calibration
from services.readout.cache import ArtefactCache
from services.readout.manifest import canonical_json
from services.readout.naming import (
    BACKBONE_TAG,
    CHAMPION,
    DIGEST_TAG,
    backbone_slug,
    calibration_model,
    readout_model,
    version_label,
)
from services.readout.schema import LANGUAGE
from services.readout.signature import ANYBODY, Trust

AnswerT = TypeVar("AnswerT")

_PAGE = 1000
_NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"})


class MlflowSource:
    """The versions that carry the alias `champion`, of one backbone.

    A version is resolved from its alias once and downloaded once; it is kept on disk by its
    digest, which must be the one that the registry's tag names.
    """

    def __init__(
        self,
        tracking_uri: str,
        backbone_name: str,
        cache_directory: Path,
        *,
        backbone: BackboneIdentity | None = None,
        trust: Trust = ANYBODY,
    ) -> None:
        """Read the models of `backbone_name`; connect at the first look.

        Args:
            tracking_uri: `http://…`, or `sqlite:///…` where full MLflow is installed.
            backbone_name: as the artefacts were registered, e.g. a hub id.
            cache_directory: local, kept across restarts; processes may share it.
            backbone: the running backbone; artefacts of another one are refused.
            trust: whose signatures artefacts must carry, those kept on disk too.
        """
        self._uri = tracking_uri
        self._backbone_name = backbone_name
        self._backbone = backbone
        self._trust = trust
        self._cache = ArtefactCache(cache_directory, backbone_slug(backbone_name))

    def fingerprint(self) -> str:
        """Which version of which model is promoted, from one call.

        Raises:
            RegistryUnreachable: the registry does not answer.
        """
        return canonical_json(self._champions()).decode()

    def fetch(self) -> Bundle:
        """Resolve, download and verify what is promoted.

        Raises:
            ArtefactRefused: no readout is promoted, or it was refused.
            RegistryUnreachable: the registry does not answer.
        """
        champions = self._champions()
        name = readout_model(self._backbone_name)
        if name not in champions:
            raise ArtefactRefused(
                f"no readout of `{self._backbone_name}` has the alias `{CHAMPION}`; "
                "run `recal register` and `recal promote`"
            )
        return assemble(
            self._load(load_readout, name, champions[name]),
            {
                language: partial(self._calibration, language, champions)
                for language in self._languages(champions)
            },
        )

    def remember(self, bundle: Bundle) -> None:
        """Take `bundle` for the last good one, also after a restart."""
        self._cache.remember(bundle)

    def last_good(self) -> Bundle:
        """The bundle that was remembered last, from disk.

        Raises:
            RegistryUnreachable: none is remembered.
            ArtefactRefused: it does not load any more, or is of another backbone.
        """
        return self._cache.last_good(self._backbone, self._trust)

    def _champions(self) -> dict[str, int]:
        """Version by name of each registered model of the backbone that has a champion."""
        slug = backbone_slug(self._backbone_name)
        champions: dict[str, int] = {}
        token = None
        while True:
            page = self._ask("its models", _search, slug, token)
            for model in page:
                if CHAMPION in model.aliases:
                    # An int from sqlite, a str over REST.
                    champions[model.name] = int(model.aliases[CHAMPION])
            token = page.token
            if not token:
                return champions

    def _languages(self, champions: dict[str, int]) -> list[str]:
        prefix = calibration_model(self._backbone_name, "")
        names = (name.removeprefix(prefix) for name in champions if name.startswith(prefix))
        return sorted(name for name in names if re.match(LANGUAGE, name))

    def _calibration(self, language: str, champions: dict[str, int]) -> Calibration:
        name = calibration_model(self._backbone_name, language)
        return self._load(load_calibration, name, champions[name])

    def _load(self, load: Callable[..., AnswerT], name: str, version: int) -> AnswerT:
        label = version_label(name, version)
        registered = self._ask(label, MlflowClient.get_model_version, name, str(version))
        digest = registered.tags.get(DIGEST_TAG)
        if digest is None:
            raise ArtefactRefused(
                f"`{label}` has no tag `{DIGEST_TAG}`; register it with `recal register`"
            )
        return self._cache.load(
            digest,
            partial(load, version=label, digest=digest, backbone=self._backbone, trust=self._trust),
            partial(self._ask, label, _download, self._uri, name, version),
        )

    def _ask(self, what: str, question: Callable[..., AnswerT], *arguments: object) -> AnswerT:
        """Ask the registry; every way in which MLflow fails becomes one of our two errors."""
        try:
            client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
            return question(client, *arguments)
        except UnsupportedModelRegistryStoreURIException:
            raise RegistryUnreachable(
                f"`{self._uri.partition(':')[0]}` registries need full MLflow; install the extra "
                "`registry`, or run `mlflow server` and use its http address"
            ) from None
        except MlflowException as error:
            if error.error_code in _NOT_THERE:
                raise ArtefactRefused(
                    f"the registry does not hold `{what}` completely ({error.error_code}); "
                    "register it again and promote the new version"
                ) from None
            raise RegistryUnreachable(self._silence(error.error_code)) from None
        except Exception as error:
            # The client lets through what requests, SQLAlchemy and the file system raise.
            raise RegistryUnreachable(self._silence(type(error).__name__)) from None

    def _silence(self, why: str) -> str:
        return (
            f"the registry of `{self._backbone_name}` does not answer ({why}); check "
            "`MLFLOW_TRACKING_URI` and that its server runs"
        )


def _search(client: MlflowClient, slug: str, token: str | None) -> Any:
    tagged = f"tags.{BACKBONE_TAG} = '{slug}'"
    return client.search_registered_models(tagged, max_results=_PAGE, page_token=token)


def _download(client: MlflowClient, uri: str, name: str, version: int, directory: Path) -> Path:
    # Not `models:/…`, which MLflow 3.17 resolves against the process-wide registry.
    where = client.get_model_version_download_uri(name, str(version))
    return Path(
        download_artifacts(where, dst_path=str(directory), tracking_uri=uri, registry_uri=uri)
    )
