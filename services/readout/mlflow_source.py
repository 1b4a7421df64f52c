"""Promoted artefacts from an MLflow registry: its aliases, read by the client alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.artefact import load_calibration, load_readout
from services.readout.assembly import Load, Loaders, assemble
from services.readout.bundle import BackboneIdentity, Bundle, Calibration
from services.readout.cache import ArtefactCache
from services.readout.canary import Challenger
from services.readout.manifest import canonical_json
from services.readout.naming import (
    BACKBONE_TAG,
    CANARY_SHARE_TAG,
    CHALLENGER,
    CHAMPION,
    DIGEST_TAG,
    READOUT,
    REVOKED_TAG,
    SHADOW,
    backbone_slug,
    calibration_model,
    readout_model,
    version_label,
)
from services.readout.revocation import Revocations, refuse_revoked
from services.readout.schema import LANGUAGE, SHA256
from services.readout.signature import ANYBODY, Trust

AnswerT = TypeVar("AnswerT")

ALIASES = (CHAMPION, CHALLENGER, SHADOW)
_PAGE = 1000
_NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"})


class _Model(NamedTuple):
    """What the registry says of one registered model."""

    aliases: Mapping[str, int]
    """Versions by alias, of `ALIASES`."""
    share: str | None
    """The tag of the challenger's share, as it stands there."""


class MlflowSource:
    """The versions that carry the alias `champion`, `challenger` or `shadow`, of one backbone.

    A version is resolved from its alias once and downloaded once; it is kept on disk by its
    digest, which must be the one that the registry's tag names. What was ever seen revoked is
    refused, whatever the registry says later.
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
        slug = backbone_slug(backbone_name)
        self._cache = ArtefactCache(cache_directory, slug)
        self._revocations = Revocations(cache_directory, slug)

    def fingerprint(self) -> str:
        """Which versions carry an alias, with which share, and what is revoked: from two calls.

        Raises:
            RegistryUnreachable: the registry does not answer.
            ArtefactRefused: the list of what is revoked cannot be read.
        """
        self._note_revocations()
        return canonical_json([self._models(), self._revocations.known()]).decode()

    def fetch(self) -> Bundle:
        """Resolve, download and verify what is promoted.

        Raises:
            ArtefactRefused: no readout is promoted, or it was refused.
            RegistryUnreachable: the registry does not answer.
        """
        self._note_revocations()
        models = self._models()
        name = readout_model(self._backbone_name)
        version = models[name].aliases.get(CHAMPION) if name in models else None
        if version is None:
            raise ArtefactRefused(
                f"no readout of `{self._backbone_name}` has the alias `{CHAMPION}`; "
                "run `recal register` and `recal promote`"
            )
        readout = self._load(load_readout, name, version)
        languages = self._languages(models)

        def under(alias: str) -> dict[str, Load[Calibration]]:
            return {
                language: partial(self._calibration, language, model.aliases[alias])
                for language, model in languages.items()
                if alias in model.aliases
            }

        challengers = {
            language: partial(self._challenger, language, languages[language].share, load)
            for language, load in under(CHALLENGER).items()
        }
        return assemble(readout, Loaders(under(CHAMPION), challengers, under(SHADOW)))

    def revoked(self) -> Mapping[str, str]:
        """Why, by digest, of all that was ever seen revoked.

        Raises:
            ArtefactRefused: the list cannot be read.
        """
        return self._revocations.known()

    def remember(self, bundle: Bundle) -> None:
        """Take `bundle` for the last good one, also after a restart."""
        self._cache.remember(bundle)

    def last_good(self) -> Bundle:
        """The bundle that was remembered last, from disk.

        Raises:
            RegistryUnreachable: none is remembered.
            ArtefactRefused: it does not load any more, or is of another backbone.
        """
        return self._cache.last_good(self._backbone, self.revoked(), self._trust)

    def _models(self) -> dict[str, _Model]:
        """By name, of each registered model of the backbone that has an alias of ours."""
        found = {}
        for model in self._all("its models", _search, backbone_slug(self._backbone_name)):
            # An int from sqlite, a str over REST.
            aliases = {
                alias: int(model.aliases[alias]) for alias in ALIASES if alias in model.aliases
            }
            # another share than a challenger's is none of ours
            share = model.tags.get(CANARY_SHARE_TAG) if CHALLENGER in aliases else None
            if aliases:
                found[model.name] = _Model(aliases, share)
        return found

    def _note_revocations(self) -> None:
        """Remember what is revoked now, whatever alias it carries or has carried."""
        prefix = calibration_model(self._backbone_name, "")
        versions = self._all("what is revoked", _search_revoked, prefix)
        self._revocations.add(
            {
                version.tags[DIGEST_TAG]: version.tags[REVOKED_TAG]
                for version in versions
                if re.match(SHA256, version.tags.get(DIGEST_TAG, ""))
            }
        )

    def _all(self, what: str, search: Callable[..., Any], of: str) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._ask(what, search, of, token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _languages(self, models: Mapping[str, _Model]) -> dict[str, _Model]:
        prefix = calibration_model(self._backbone_name, "")
        names = (name.removeprefix(prefix) for name in models if name.startswith(prefix))
        return {
            language: models[f"{prefix}{language}"]
            for language in sorted(names)
            if language != READOUT and re.match(LANGUAGE, language)
        }

    def _calibration(self, language: str, version: int) -> Calibration:
        name = calibration_model(self._backbone_name, language)
        return self._load(load_calibration, name, version)

    def _challenger(self, language: str, share: str | None, load: Load[Calibration]) -> Challenger:
        calibration = load()
        try:
            return Challenger(calibration, float(share or ""))
        except ValueError:
            name = calibration_model(self._backbone_name, language)
            raise ArtefactRefused(
                f"the tag `{CANARY_SHARE_TAG}` of `{name}` is "
                f"{'not set' if share is None else repr(share[:20])}; give the challenger's share "
                "of the traffic, above 0 and at most 1"
            ) from None

    def _load(self, load: Callable[..., AnswerT], name: str, version: int) -> AnswerT:
        label = version_label(name, version)
        registered = self._ask(label, MlflowClient.get_model_version, name, str(version))
        digest = registered.tags.get(DIGEST_TAG)
        if digest is None:
            raise ArtefactRefused(
                f"`{label}` has no tag `{DIGEST_TAG}`; register it with `recal register`"
            )
        refuse_revoked(label, digest, self._revocations.known())
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


def _search_revoked(client: MlflowClient, prefix: str, token: str | None) -> Any:
    tagged = f"name LIKE '{prefix}%' AND tags.{REVOKED_TAG} LIKE '%'"
    return client.search_model_versions(tagged, max_results=_PAGE, page_token=token)


def _download(client: MlflowClient, uri: str, name: str, version: int, directory: Path) -> Path:
    # Not `models:/…`, which MLflow 3.17 resolves against the process-wide registry.
    where = client.get_model_version_download_uri(name, str(version))
    return Path(
        download_artifacts(where, dst_path=str(directory), tracking_uri=uri, registry_uri=uri)
    )
