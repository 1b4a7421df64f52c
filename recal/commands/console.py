"""`recal console`: a small read-only web page beside the gate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from recal.commands.opened import opened
from recal.commands.options import Config, Pages

PrometheusUrl = Annotated[
    str, typer.Option("--prometheus", help="Prometheus that scrapes replicas and monitor.")
]
Hours = Annotated[
    int, typer.Option(min=1, max=720, help="With Prometheus: over how long counts are shown.")
]
Host = Annotated[str, typer.Option(help="Address to listen on; whoever reaches it may read.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]
Registry = Annotated[
    bool, typer.Option("--registry/--no-registry", help="Ask the registry who serves.")
]


def console(
    prometheus: PrometheusUrl = "",
    metrics: Pages = None,
    hours: Hours = 24,
    host: Host = "127.0.0.1",
    port: Port = 8089,
    registry: Registry = True,
    config: Config = None,
) -> None:
    """Show versions, steered shares beside their baselines, scores and canaries, until Ctrl-C.

    Nothing can be changed here, and no text of a prompt is known here.
    """
    from recal.console.main import run_console
    from recal.console.numbers import SinceStart, Window
    from services.drift.sources import Pages as PagesOf
    from services.drift.sources import Prometheus
    from services.settings import load_settings

    logging.basicConfig(level=logging.WARNING)
    settings = load_settings(config)
    if prometheus and metrics:
        raise ValueError("numbers come from `--prometheus` or from `--metrics`; give one of them")
    own = f"http://127.0.0.1:{settings.edge.metrics_port or 9464}/metrics"
    numbers = (
        Window(Prometheus(prometheus), hours)
        if prometheus
        else SinceStart(PagesOf(metrics or (own,)))
    )
    run_console(numbers, _aliases_of(config) if registry else dict, host=host, port=port)


def _aliases_of(config: Path | None) -> Callable[[], dict[str, dict[str, int]]]:
    """Version numbers by alias, of each language of the configured backbone."""

    def ask() -> dict[str, dict[str, int]]:
        found = opened(config, None)
        standings = found.registry.standings(found.backbone)
        return {each.what: dict(each.aliases) for each in standings}

    return ask
