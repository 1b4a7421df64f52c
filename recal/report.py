"""An evaluation as JSON and as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from recal.evaluate import EvaluationReport, LanguageResult


def write_json(report: EvaluationReport, path: Path) -> None:
    """Write all numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")


def write_markdown(report: EvaluationReport, path: Path) -> None:
    """Write a table for people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_markdown(report), encoding="utf-8")


def to_markdown(report: EvaluationReport) -> str:
    """The report as one Markdown page."""
    lines = [
        f"# Evaluation of `{report.backbone}` with readout `{report.readout}`",
        "",
        f"Judge: `{report.judge}`. Rates in %, Δ in points with its 95 % interval.",
    ]
    if report.notice:
        lines += ["", f"> {report.notice}"]
    lines += [
        "",
        "| language | tier | calibration | AUC | J | untouched harmful / harmless | untouched Δ "
        "| gated harmful / harmless | gated Δ | degenerate |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(result) for result in report.results),
    ]
    less_safe = report.less_safe()
    lines += ["", f"Less safe than untouched: {', '.join(less_safe) or 'no language'}.", ""]
    return "\n".join(lines)


def _row(r: LanguageResult) -> str:
    return (
        f"| {r.language} | {r.tier or '–'} | {r.calibration} | {r.auc:.3f} | {r.j:.2f} "
        f"| {r.untouched.harmful_refusal:.1f} / {r.untouched.harmless_refusal:.1f} "
        f"| {r.untouched.delta:.1f} "
        f"| {r.gated.harmful_refusal:.1f} / {r.gated.harmless_refusal:.1f} "
        f"| {r.gated.delta:.1f} ({r.gated.delta_low:.1f} to {r.gated.delta_high:.1f}) "
        f"| {r.gated.degenerate:.1f} |"
    )
