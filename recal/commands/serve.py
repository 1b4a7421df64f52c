"""`recal serve`: language ID, gate, generation and front door on this machine."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from services.settings import Settings

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_OURS = ("recal", "services")


class LogLevel(StrEnum):
    """How much is written to standard error."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Embedded = Annotated[
    bool,
    typer.Option("--embedded/--ray", help="Everything in this process, or Ray Serve and the edge."),
]
EdgeAlone = Annotated[
    bool,
    typer.Option("--edge", help="The edge alone; Ray Serve runs elsewhere, at `edge.backend`."),
]
Config = Annotated[
    Path | None, typer.Option(help="Settings file; by default the one that RECAL_CONFIG names.")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int | None, typer.Option(help="gRPC port; 0 takes a free one.")]
MetricsPort = Annotated[int | None, typer.Option(help="Prometheus port; 0 takes a free one.")]
Log = Annotated[LogLevel, typer.Option(help="What is logged, of our own; never a prompt.")]


def serve(
    embedded: Embedded = False,
    edge: EdgeAlone = False,
    config: Config = None,
    host: Host = None,
    port: Port = None,
    metrics_port: MetricsPort = None,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Serve until Ctrl-C: on a local Ray cluster, or in this process alone.

    Options go over the environment (RECAL_EDGE__PORT=…), and that over the settings file.
    """
    from recal import serve as serving
    from services.settings import load_settings

    if embedded and edge:
        raise ValueError(
            "`--edge` goes before Ray Serve, `--embedded` needs none; give one of them"
        )
    _log_ours(log_level)
    chosen = {"host": host, "port": port, "metrics_port": metrics_port}
    settings = _with_edge(load_settings(config), chosen)
    if edge:
        serving.run_edge_alone(settings)
        return
    run = serving.run_embedded if embedded else serving.run_on_ray
    run(settings, Console())


def _with_edge(settings: Settings, chosen: dict[str, str | int | None]) -> Settings:
    from pydantic import ValidationError

    from services.settings import EdgeSettings, SettingsError

    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        edge = EdgeSettings.model_validate(settings.edge.model_dump() | given)
    except ValidationError as error:
        names = ", ".join(
            f"--{e['loc'][0]} {e['input']}: {e['msg'].lower()}" for e in error.errors()
        )
        raise SettingsError(f"bad options: {names.replace('_', '-')}") from None
    return settings.model_copy(update={"edge": edge})


def _log_ours(level: LogLevel) -> None:
    # Libraries stay at their warnings: at `info` some of them narrate their every step.
    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.name)
