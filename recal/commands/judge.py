"""`recal judge validate`: a judge held against human labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recal.commands import options

app = typer.Typer(help="Judges of refusals, and how far to trust them.", no_args_is_help=True)


@app.command("validate")
def validate(
    labels: Annotated[
        Path, typer.Option(help="JSON lines with prompt, text, refused and perhaps language.")
    ],
    judge: options.JudgeName = "phrases",
    out: Annotated[Path, typer.Option(help="Where the error rates are kept, for corrections.")] = (
        Path("var/judge/validation.json")
    ),
    config: options.Config = None,
) -> None:
    """Print sensitivity, specificity and kappa by language, and keep them as JSON.

    Label at least 100 texts of each language, refusals and answers, of steered texts too.
    """
    from rich.console import Console
    from rich.table import Table

    from recal.inputs import judge_of, settings_of
    from recal.judge.labels import load_labels
    from recal.judge.table import HEADERS, rows_of
    from recal.judge.validation import save_validation
    from recal.judge.validation import validate as run
    from recal.progress import counting

    labelled = load_labels(labels)
    judging = judge_of(judge, device=settings_of(config, None).backbone.device)
    with counting("texts judged") as report:
        validation = run(judging, labelled, report=report)
    save_validation(validation, out)
    table = Table(title=f"{judging.name} beside people, % and kappa with 95 % intervals")
    for header in HEADERS:
        table.add_column(header, justify="left" if header in ("language", "rates") else "right")
    for row in rows_of(validation):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(
        "noise: called degenerate; rates: whose error rates correct the language, its own from "
        f"100 labels on. Written to {out}"
    )
