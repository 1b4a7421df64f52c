"""Names that PromQL uses, and what promtool says of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.telemetry import EVERY_METRIC, Kind, Metric
from tests.deploy.rendered import tool

ADDED = frozenset({"instance", "job", "pod", "namespace", "le", "recal_dev_colour"})
"""Labels that the scrape or Ray adds, and that a query may use."""
_SELECTOR = re.compile(r"\b(recal_[a-z_]+)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"\s*([a-zA-Z_]+)\s*(?:=~|!~|!=|=)")
_RECORDED = re.compile(r"\b[a-z]+:recal_\w+:\w+")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


def exported(metric: Metric) -> tuple[str, ...]:
    """Names of a metric's series at a scrape."""
    if metric.kind is Kind.COUNTER:
        return (f"{metric.name}_total",)
    if metric.kind is Kind.HISTOGRAM:
        # a sum that may fall is no counter: prometheus-client leaves it out
        parts = ("bucket", "count") if min(metric.buckets) < 0 else ("bucket", "count", "sum")
        return tuple(f"{metric.name}_{part}" for part in parts)
    return (metric.name,)


LABELS: Mapping[str, frozenset[str]] = {
    name: frozenset(metric.labels) for metric in EVERY_METRIC for name in exported(metric)
}
"""Labels of every series that our code exports, by the series' name."""


def unknown_names(expression: str) -> Iterator[str]:
    """Metrics of ours, and labels on them, that the code does not have."""
    seen: set[str] = set()
    for name, matchers in _SELECTOR.findall(_RECORDED.sub("recorded", expression)):
        if name in ADDED:
            continue
        if name not in LABELS:
            yield name
            continue
        seen |= LABELS[name]
        for label in _MATCHER.findall(matchers):
            if label not in LABELS[name] | ADDED:
                yield f"{name}{{{label}}}"
    for group in _GROUPING.findall(expression):
        for label in filter(None, map(str.strip, group.split(","))):
            if label not in seen | ADDED:
                yield f"by ({label})"


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *map(str, words)], capture_output=True, text=True, check=False
    )


def check_expressions(expressions: list[str], folder: Path) -> str:
    """What promtool has against expressions; empty when nothing."""
    rules: list[Any] = [{"record": f"x:{i}:x", "expr": each} for i, each in enumerate(expressions)]
    path = folder / "expressions.yaml"
    groups = {"groups": [{"name": "x", "rules": rules}]}
    path.write_text(yaml.safe_dump(groups), encoding="utf-8")
    done = promtool("check", "rules", path)
    return "" if done.returncode == 0 else done.stdout + done.stderr
