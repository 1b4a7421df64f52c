"""The list of metrics keeps the conventions of Prometheus, and what Ray accepts."""

import re
from collections import Counter

import pytest

from services.telemetry import EVERY_METRIC, STAGES, Kind, Metric
from tests.contract.tree import ROOT

BY_NAME = pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda metric: metric.name)
DERIVED_UNITS = re.compile("_(ms|us|ns|millis|milliseconds|minutes|hours|kb|mb|gb|percent)(_|$)")


def test_names_are_unique() -> None:
    assert [name for name, n in Counter(m.name for m in EVERY_METRIC).items() if n > 1] == []


@BY_NAME
def test_a_name_is_ours_and_plain(metric: Metric) -> None:
    assert re.fullmatch(r"recal(_[a-z][a-z0-9]*)+", metric.name)


@BY_NAME
def test_a_name_is_in_base_units(metric: Metric) -> None:
    assert not DERIVED_UNITS.search(metric.name)


@BY_NAME
def test_suffixes_that_exporters_add_are_not_in_the_name(metric: Metric) -> None:
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_created"))


@BY_NAME
def test_labels_are_plain_and_not_reserved(metric: Metric) -> None:
    # Ray puts these on every metric of a replica.
    reserved = {"deployment", "replica", "application", "le", "quantile", "WorkerId", "SessionName"}
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)
    assert not reserved & set(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)


@BY_NAME
def test_no_label_can_hold_a_prompt_or_a_person(metric: Metric) -> None:
    assert not {"prompt", "text", "completion", "user", "peer", "token"} & set(metric.labels)


@BY_NAME
def test_only_histograms_have_buckets_and_theirs_rise(metric: Metric) -> None:
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


@BY_NAME
def test_the_help_is_a_sentence(metric: Metric) -> None:
    assert metric.help.endswith(".")
    assert metric.help[0].isupper() or metric.help[0].isdigit()


@pytest.mark.parametrize("bad", ["recal_time_ms", "recal_age_hours", "recal_size_mb_max"])
def test_a_derived_unit_is_noticed(bad: str) -> None:
    assert DERIVED_UNITS.search(bad)


def documented(text: str) -> dict[str, tuple[str, ...]]:
    """Labels of the metrics that a document lists, by name, in its order."""
    rows = re.findall(r"^\| `(recal_\w+)` \| ([\w, ]*)\|", text, re.MULTILINE)
    return {name: tuple(filter(None, map(str.strip, labels.split(",")))) for name, labels in rows}


def listed(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.kind is Kind.COUNTER else metric.name


def test_the_document_lists_every_metric_with_its_labels_and_no_other() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert documented(text) == {listed(metric): metric.labels for metric in EVERY_METRIC}
    assert set(STAGES) <= set(re.findall(r"`(\w+)`", text))


def test_a_label_that_a_document_gets_wrong_is_noticed() -> None:
    assert documented("| `recal_x_total` | language, action | a | b |") == {
        "recal_x_total": ("language", "action")
    }
    assert documented("| `recal_y` | | a | b |") == {"recal_y": ()}
