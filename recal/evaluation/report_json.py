"""An evaluation as JSON: every number, for machines and for `recal register --report`."""

from __future__ import annotations

import json
from pathlib import Path

from recal.evaluation.report import EvaluationReport


def write_json(report: EvaluationReport, path: Path) -> None:
    """Write all numbers; a NaN would be no JSON, and raises.

    Raises:
        ValueError: a number is not finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
