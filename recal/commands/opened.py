"""The registry that the settings name, opened for a command, and how a command says its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from recal.registry import RegisteredVersion, Registry
    from services.settings import Settings


class Opened(NamedTuple):
    """A registry, and the configured backbone whose models are meant."""

    registry: Registry
    backbone: str
    """As artefacts are registered for it."""
    settings: Settings

    def version(self, text: str) -> RegisteredVersion:
        """The version that a text such as `sw@7` names; errors as `Target`."""
        from recal.registry.target import Target

        return Target.parse(text).version(self.registry, self.backbone)


def opened(config: Path | None, model: str | None) -> Opened:
    """Open it.

    Raises:
        SettingsError: the file or a variable cannot be used.
    """
    from services.readout.mlflow_environment import quieten_mlflow

    quieten_mlflow()  # before MLflow is imported
    from recal.doctor.artefacts import backbone_name
    from recal.inputs import settings_of
    from recal.registry import open_registry

    settings = settings_of(config, model)
    environ = {"MLFLOW_TRACKING_URI": settings.registry.tracking_uri}
    name = backbone_name(settings.backbone.name_or_path)
    return Opened(open_registry(settings.state_dir, environ), name, settings)


def say_json(record: Mapping[str, Any]) -> None:
    """One JSON object and nothing else on standard output."""
    typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
