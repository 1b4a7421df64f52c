"""`recal doctor`: look at environment, packages, model, registry and ports; say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from recal import exits
from recal.terminal import printable

if TYPE_CHECKING:
    from recal.doctor.finding import Finding

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}

Config = Annotated[
    Path | None, typer.Option(help="Settings file; by default the one that RECAL_CONFIG names.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Check Python, packages, model, settings, registry, ports, memory and disk.

    Exit codes: 0 nothing failed (there may be warnings), 1 something failed.
    """
    from recal.doctor.checkup import examine
    from recal.doctor.finding import Level, worst

    console = Console()
    findings = []
    for finding in examine(config):
        findings.append(finding)
        if not as_json:
            _print(finding, console)
    level = worst(findings)
    if as_json:
        typer.echo(json.dumps({"level": level.value, "findings": [*map(_as_dict, findings)]}))
    else:
        n_bad = sum(bool(finding.remedy) for finding in findings)
        console.print(f"{len(findings)} looked at, {n_bad} to attend to", highlight=False)
    raise typer.Exit(exits.FAILED_CHECK if level is Level.FAIL else 0)


def _as_dict(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "level": finding.level.value,
        "says": finding.says,
        "remedy": finding.remedy,
    }


def _print(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.level.value]
    line = Text(f"{mark} {finding.check:<10} {printable(finding.says)}")
    line.stylize(style, 0, len(line) if finding.remedy else 1)
    console.print(line, soft_wrap=True, highlight=False)
    if finding.remedy:
        console.print(f"{'':13}→ {finding.remedy}", soft_wrap=True, highlight=False, markup=False)
