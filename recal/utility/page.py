"""A utility report as JSON, and as a page of Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from recal.utility.comparison import MARGIN, Comparison
from recal.utility.run import UtilityReport

_MOST_ROWS = 12


def write(report: UtilityReport, folder: Path) -> None:
    """Write `utility.json` with every task and `utility.md` for people."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
    (folder / "utility.json").write_text(text + "\n", encoding="utf-8")
    (folder / "utility.md").write_text(to_markdown(report), encoding="utf-8")


def most_changed(report: UtilityReport, most: int | None = None) -> list[Comparison]:
    """Tasks whose accuracy changed most, and all together as the last where there are several.

    Args:
        report: what was measured.
        most: how many tasks; None: all.
    """
    tasks = sorted(report.tasks, key=lambda c: (-abs(c.difference), c.task))[:most]
    return tasks if len(report.tasks) == 1 else [*tasks, report.together]


def to_markdown(report: UtilityReport) -> str:
    """The report as one page."""
    lines = [
        f"# Utility of `{report.backbone}` behind the gate (readout `{report.readout}`)",
        "",
        f"Calibrations: {', '.join(report.calibrations)}. Examples in a prompt: "
        f"{_or(report.n_examples, 'as the task says')}; questions of a task: "
        f"{_or(report.limit, 'all')}. Accuracy in %, difference in points with its paired 95 % "
        "interval; `same` is the share of questions with the same choice in both runs, `fired` "
        "that of prompts which the gate steered or refused.",
    ]
    if report.notice:
        lines += ["", f"> {report.notice}"]
    lines += [
        "",
        "| task | n | untouched | gated | difference | p | same | fired | released |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(comparison) for comparison in most_changed(report)),
    ]
    lines += ["", conclusion(report.together), ""]
    return "\n".join(lines)


def _row(c: Comparison) -> str:
    return (
        f"| {c.task} | {c.n} | {c.untouched:.1f} | {c.gated:.1f} "
        f"| {c.difference:+.1f} ({c.low:+.1f} to {c.high:+.1f}) | {c.p:.2g} | {c.agreement:.1f} "
        f"| {c.fire_rate:.1f} ({c.fire_low:.1f}–{c.fire_high:.1f}) | {c.released:.1f} |"
    )


def conclusion(together: Comparison) -> str:
    """What all questions together say, in words."""
    languages = ", ".join(f"{la} {n}" for la, n in list(together.languages.items())[:_MOST_ROWS])
    fired_by = ", ".join(f"{reason} {n}" for reason, n in together.fired_by.items())
    word = "excludes" if together.is_non_inferior else "does not exclude"
    text = (
        f"The interval {word} a loss of more than {MARGIN:g} point. "
        f"Fired by: {fired_by or 'nothing'}. Decided under: {languages}."
    )
    if together.n_too_long:
        text += f" Left out: {together.n_too_long} questions that do not fit the context."
    return text


def _or(number: int | None, otherwise: str) -> str:
    return otherwise if number is None else str(number)
