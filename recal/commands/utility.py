"""`recal utility`: what the gate costs on ordinary tasks, untouched beside gated."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from recal.utility.comparison import Comparison

_SHOWN_TASKS = 12


def utility(
    tasks: Annotated[
        str, typer.Option(help="Comma-separated tasks of the harness, e.g. mmlu.")
    ] = "",
    questions: Annotated[
        Path | None,
        typer.Option(help="Or JSON lines: question, four choices, answer A to D, perhaps lang."),
    ] = None,
    languages: Annotated[str, typer.Option(help="Of the questions; all of the file.")] = "",
    num_fewshot: Annotated[
        int | None, typer.Option(min=0, help="Examples in each prompt; as the task says.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions of each task; all.")] = None,
    readout: options.ReadoutDirectory = Path("var/readout"),
    calibrations: options.CalibrationsDirectory = Path("var/calibrations"),
    rows: Annotated[int, typer.Option(min=1, help="Answers run at once.")] = 32,
    out: Annotated[Path, typer.Option(help="Folder for utility.json and utility.md.")] = Path(
        "var/utility"
    ),
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Run lm-evaluation-harness tasks with the gate live: fire rate, accuracy, same choices."""
    if find_spec("lm_eval") is None:
        raise ValueError("`recal utility` needs the harness; run `pip install recal-gate[utility]`")
    if bool(tasks) == (questions is not None):
        raise ValueError("give `--tasks` of the harness, or `--questions` with a file; one of them")
    from rich.console import Console

    from recal.inputs import settings_of
    from recal.progress import counting_steps
    from recal.utility.assembly import assemble
    from recal.utility.page import conclusion, most_changed, write
    from recal.utility.questions import question_tasks
    from recal.utility.run import UtilityPlan, run

    names = tuple(part.strip() for part in tasks.split(",") if part.strip())
    wanted = options.languages_of(languages) if languages else ()
    line = assemble(settings_of(config, model), readout, calibrations, max_rows=rows)
    with counting_steps() as report:
        measured = run(
            line,
            lambda: names if questions is None else question_tasks(questions, wanted),
            UtilityPlan(n_examples=num_fewshot, limit=limit),
            report=report,
        )
    write(measured, out)
    console = Console()
    console.print(_table(most_changed(measured, _SHOWN_TASKS)))
    if len(measured.tasks) > _SHOWN_TASKS:
        console.print(f"{len(measured.tasks) - _SHOWN_TASKS} more tasks changed less")
    if measured.notice:
        console.print(measured.notice)
    console.print(conclusion(measured.together))
    console.print(f"written to {out / 'utility.json'} and {out / 'utility.md'}")


def _table(comparisons: Sequence[Comparison]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE,
        collapse_padding=True,
        pad_edge=False,
        title="Accuracy untouched and behind the gate, %; difference with 95 % interval",
        caption="same: questions with one choice in both runs; fired: prompts steered or refused",
    )
    table.add_column("task", max_width=16, no_wrap=True)
    for header in ("n", "untouched", "gated", "difference", "same", "fired"):
        table.add_column(header, justify="right", no_wrap=True)
    for c in comparisons:
        interval = f"{c.difference:+.1f} ({c.low:+.1f} to {c.high:+.1f})"
        accuracy = (f"{c.untouched:.1f}", f"{c.gated:.1f}")
        table.add_row(
            c.task, str(c.n), *accuracy, interval, f"{c.agreement:.0f}", f"{c.fire_rate:.0f}"
        )
    return table
