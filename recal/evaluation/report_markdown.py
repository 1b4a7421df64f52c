"""An evaluation as one Markdown page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recal.evaluation.report import EvaluationReport
from recal.evaluation.summary import summary
from recal.evaluation.tables import Table, all_tables, arm_table


def write_markdown(report: EvaluationReport, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_markdown(report), encoding="utf-8")


def to_markdown(report: EvaluationReport) -> str:
    """The report as one Markdown page."""
    lines = [*opening(report)]
    for table in all_tables(report):
        lines += ["", *_table(table)]
    for arm in report.arms:
        lines += ["", *_table(arm_table(report, arm))]
    return "\n".join(lines) + "\n"


def opening(report: EvaluationReport) -> Iterator[str]:
    """Title, what the model is, and the summary: all that a terminal needs."""
    yield f"# Evaluation of `{report.backbone}` with readout `{report.readout}`"
    if report.notice:
        yield ""
        yield f"> {report.notice}"
    for paragraph in summary(report):
        yield ""
        yield f"**{paragraph.heading}**"
        yield ""
        for sentence in paragraph.sentences:
            yield f"- {sentence}"


def _table(table: Table) -> Iterator[str]:
    yield f"**{table.caption}**"
    yield ""
    if not table.rows:
        yield "None."
        return
    yield _line(table.header)
    yield _line(["---", *["--:"] * (len(table.header) - 1)])
    for row in table.rows:
        yield _line(row)


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
