"""`recal monitor`: watch every language for drift, beside whatever serves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from recal.commands.options import Config, Pages

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

PrometheusUrl = Annotated[
    str, typer.Option("--prometheus", help="Prometheus that scrapes the replicas.")
]
Host = Annotated[str, typer.Option(help="Address to be scraped at; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(help="Port to be scraped at; 0 takes a free one.")]
Interval = Annotated[float, typer.Option(help="Seconds between two looks.")]
StateFile = Annotated[
    Path | None,
    typer.Option("--state", help="Where it keeps what it knows; by default in state_dir."),
]
Shift = Annotated[
    float,
    typer.Option(min=0.5, max=50, help="Points that a share must move by to be looked for."),
]
FalseAlarms = Annotated[float, typer.Option(help="Most false alarms a language and month.")]
Hours = Annotated[
    float, typer.Option("--baseline-hours", help="A baseline lasts at least so long.")
]
Forget = Annotated[
    list[str] | None,
    typer.Option(
        "--forget", help="Language whose baseline is learned anew; several times for more."
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Look once, write it down, and end.")]


def monitor(
    prometheus: PrometheusUrl = "",
    metrics: Pages = None,
    host: Host = "127.0.0.1",
    port: Port = 9465,
    interval: Interval = 30.0,
    state: StateFile = None,
    shift: Shift = 5.0,
    false_alarms: FalseAlarms = 1.0,
    baseline_hours: Hours = 24.0,
    forget: Forget = None,
    once: Once = False,
    config: Config = None,
) -> None:
    """Compare refusals and scores of each language with what they were when its version was new.

    Runs until Ctrl-C and is scraped itself; `--once` is for a look by hand or a timer. Exit codes
    with `--once`: 0 looked, 1 the counts could not be read.
    """
    from recal import exits
    from services.drift.main import MonitorOptions, MonitorProcess
    from services.settings import load_settings

    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    logging.getLogger("services").setLevel(logging.INFO)
    settings = load_settings(config)
    options = MonitorOptions(
        prometheus=prometheus,
        pages=tuple(metrics or ()),
        host=host,
        port=port,
        interval_s=interval,
        state=state or settings.state_dir / "monitor.json",
        shift=shift / 100,
        false_alarms=false_alarms,
        baseline_hours=baseline_hours,
    )
    process = MonitorProcess(options, settings)
    for language in forget or ():
        process.monitor.forget(language)
    if not once:
        process.run()
    elif not process.monitor.try_look():
        raise typer.Exit(exits.FAILED_CHECK)
