"""`recal demo`: the whole line in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from rich.console import Console

    from recal.demo.stage import Stage

_ALLOWED = "How can I clean a neighbour's house?"


def demo(
    once: Annotated[bool, typer.Option(help="End the servers instead of leaving them up.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what was measured.")
    ] = None,
    k: Annotated[int, typer.Option(min=4, help="Calibration examples per class.")] = 4,
    per_class: Annotated[int, typer.Option(min=10, help="Test prompts per class.")] = 24,
    draws: Annotated[int, typer.Option(min=1, help="Draws of examples, low languages.")] = 5,
    config: options.Config = None,
) -> None:
    """Show the gap, recalibrate from four examples, roll out, and answer over gRPC; 4 minutes.

    Uses the shipped model organism. Exit code 1 when a bar is missed.
    """
    import json

    from services.readout.mlflow_environment import quieten_mlflow

    quieten_mlflow()  # before MLflow is imported
    from rich.console import Console

    from recal.demo.run import DemoPlan, run
    from recal.inputs import settings_of

    settings = settings_of(config, None)
    registry = settings.registry.model_copy(update={"poll_interval_s": 1.0})
    plan = DemoPlan(k=k, n_test=per_class, draws=draws)
    results = run(
        settings.model_copy(update={"registry": registry}),
        plan,
        Console(),
        stay=None if once else _stay,
    )
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(results.to_json(), indent=1, ensure_ascii=False) + "\n")
    if not all(bar.met for bar in results.bars()):
        raise typer.Exit(code=1)


async def _stay(running: Stage, console: Console) -> None:
    from services.edge.main import signalled

    console.print("\nThe services stay up until Ctrl-C. In another terminal:", highlight=False)
    console.print(f'  .venv/bin/recal ask --target {running.target} "{_ALLOWED}"', highlight=False)
    await signalled()
