"""Numbers over a window, from Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from recal.console.numbers import Window
from services.drift.sources import Prometheus, Sample


class Asked(Prometheus):
    """Answers with the expression itself."""

    def __init__(self) -> None:
        super().__init__("http://prometheus:9090")
        self.expressions: list[str] = []

    def query(self, expression: str) -> Iterator[Sample]:
        self.expressions.append(expression)
        yield Sample("", (("language", "sw"),), 7.0)


def test_counters_are_counted_over_the_window_and_gauges_are_as_they_stand() -> None:
    asked = Asked()
    found = {sample.name: sample for sample in Window(asked, 24).read()}
    assert 'increase({__name__=~"(ray_)?recal_verdicts_total"}[24h])' in asked.expressions
    assert 'increase({__name__=~"(ray_)?recal_score_bucket"}[24h])' in asked.expressions
    assert '{__name__=~"(ray_)?recal_threshold"}' in asked.expressions
    assert found["recal_verdicts_total"].label("language") == "sw"
    assert Window(asked, 1).over == "in the last hour"
