"""The command line's table of contents, and the one place where an error becomes a line in red.

To add a command, write `recal/commands/NAME.py` and give it one line below. Its module imports
nothing heavy (torch, ray, mlflow, transformers): those imports stand inside the command's
function, so that `recal --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recal import exits
from recal.commands import (
    answer_threshold,
    ask,
    audit,
    collect,
    console,
    demo,
    doctor,
    evaluate,
    fit,
    judge,
    migrate,
    monitor,
    new_language,
    organism,
    prompts,
    recalibrate,
    registry,
    rollout,
    serve,
    trust,
    utility,
)
from recal.terminal import printable
from services.errors import ServiceError

app = typer.Typer(
    name="recal",
    help="Safety gates, recalibrated for the languages that safety training forgot.",
    epilog="Exit codes: 0 done, 1 a check failed, 2 an error (said on stderr), 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("ask")(ask.ask)
app.command("audit")(audit.audit)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("monitor")(monitor.monitor)
app.command("console")(console.console)
app.command("collect")(collect.collect)
app.command("fit")(fit.fit)
app.command("recalibrate")(recalibrate.recalibrate)
app.command("answer-threshold")(answer_threshold.answer_threshold)
app.command("evaluate")(evaluate.evaluate)
app.command("utility")(utility.utility)
app.command("new-language")(new_language.new_language)
app.command("register")(registry.register)
app.command("list")(registry.list_models)
app.command("show")(registry.show)
app.command("diff")(registry.diff)
app.command("promote")(rollout.promote)
app.command("canary")(rollout.canary)
app.command("shadow")(rollout.shadow)
app.command("rollback")(rollout.rollback)
app.command("revoke")(rollout.revoke)
app.command("migrate")(migrate.migrate)
app.command("sign")(trust.sign)
app.command("verify")(trust.verify)
app.add_typer(trust.app, name="keys")
app.add_typer(judge.app, name="judge")
app.add_typer(prompts.app, name="prompts")
app.add_typer(organism.app, name="organism")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"recal {version('recal-gate')}")
    except PackageNotFoundError:
        typer.echo("recal, not installed; run `make install`")
    raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Safety gates, recalibrated for the languages that safety training forgot."""


def main(args: Sequence[str] | None = None) -> None:
    """Run one command. An expected error ends as one line and exit code 2, without a traceback."""
    try:
        app(args=args, prog_name="recal")
    except Exception as error:
        if not is_expected(error) or os.environ.get("RECAL_TRACEBACK") == "1":
            raise
        Console(stderr=True).print(Text(one_line(error), style="bold red"), soft_wrap=True)
        sys.exit(exits.ERROR)


def is_expected(error: Exception) -> bool:
    """True for what a user can mend: a service's or the registry's error, a value, a file."""
    return isinstance(error, (ServiceError, ValueError, OSError)) or _is_from_mlflow(error)


def _is_from_mlflow(error: Exception) -> bool:
    # Looked up, not imported: whoever raised it has imported mlflow, and `--help` must not.
    exceptions = sys.modules.get("mlflow.exceptions")
    return exceptions is not None and isinstance(error, exceptions.MlflowException)


def one_line(error: Exception) -> str:
    """The error as one line; where its words are not ours, how to see where it came from."""
    text = " ".join(printable(str(error)).split()) or type(error).__name__
    is_ours = type(error).__module__.partition(".")[0] in ("recal", "services")
    return f"recal: {text}" + ("" if is_ours else " (RECAL_TRACEBACK=1 shows where)")
