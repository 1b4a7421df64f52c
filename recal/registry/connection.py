"""A connection to the MLflow registry, whose failures become errors that say what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from recal.errors import RegistryError, UnknownVersion
from services.errors import RegistryUnreachable, ServiceError

_NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_AWAY = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})


@dataclass(frozen=True)
class Connection:
    """Where a registry is, and where it keeps files."""

    tracking_uri: str
    """`http://…` of a server, or `sqlite:///…`."""
    artifact_location: str | None = None
    """Where a store without a server keeps files; None: MLflow decides."""

    @contextmanager
    def asking(self, what: str) -> Iterator[MlflowClient]:
        """A client whose failures become errors that say what to do."""
        try:
            yield MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
        except (ServiceError, KeyboardInterrupt):
            raise
        except MlflowException as error:
            if error.error_code in _NOT_THERE:
                raise UnknownVersion(
                    f"`{what}` is not registered at {shown(self.tracking_uri)}; see "
                    "`recal list`, or register it first"
                ) from None
            if error.error_code in _AWAY:
                raise RegistryUnreachable(self._silence(error.error_code)) from None
            raise RegistryError(
                f"the registry refused to do this to `{what}` ({error.error_code}); check rights "
                "and names"
            ) from None
        except OSError as error:
            raise RegistryUnreachable(self._silence(type(error).__name__)) from None

    def _silence(self, why: str) -> str:
        return (
            f"the registry at {shown(self.tracking_uri)} does not answer ({why}); check "
            "`MLFLOW_TRACKING_URI` and that its server runs"
        )


def tracking_uri(state_directory: Path, environ: Mapping[str, str] = os.environ) -> str:
    """`MLFLOW_TRACKING_URI` where set; otherwise a sqlite file under the state directory."""
    return (
        environ.get("MLFLOW_TRACKING_URI", "").strip()
        or f"sqlite:///{state_directory.resolve() / 'mlflow.db'}"
    )


def connection_of(state_directory: Path, environ: Mapping[str, str] = os.environ) -> Connection:
    """The registry that the environment names, or the one of the state directory.

    Args:
        state_directory: made when missing; holds database and files where there is no server.
        environ: where `MLFLOW_TRACKING_URI` is looked up.
    """
    uri = tracking_uri(state_directory, environ)
    if not uri.startswith("sqlite:"):
        return Connection(uri)
    state_directory.mkdir(parents=True, exist_ok=True)
    files = (state_directory / "artefacts").resolve().as_uri()
    return Connection(uri, artifact_location=files)


def shown(uri: str) -> str:
    """A tracking URI without user and password."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
