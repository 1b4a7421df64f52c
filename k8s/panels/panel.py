"""A panel: a question, and the PromQL that answers it."""

from __future__ import annotations

from typing import NamedTuple

_INTERVAL = "$__rate_interval"


class Query(NamedTuple):
    """An expression, and how its lines are called."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A question, what answers it, and how."""

    question: str
    answer: str
    """What to look for; shown where the panel's title is pointed at."""
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "lines"
    """`lines`, `number`, `table` or `bars`."""
    width: int = 12


def rate(name: str, matchers: str = "", by: str = "") -> str:
    """Of a counter, per second."""
    return f"sum by ({by}) (rate({name}{{{matchers}}}[{_INTERVAL}]))"


def share(name: str, part: str, whole: str = "", by: str = "") -> str:
    """Share of a counter that the matchers `part` choose among those that `whole` does."""
    chosen = ",".join(filter(None, (whole, part)))
    return f"{rate(name, chosen, by)} / ignoring ({by}) group_left {rate(name, whole)}"


def ratio(part: str, whole: str) -> str:
    """Of two expressions with the same labels."""
    return f"{part} / {whole}"


def quantile(q: float, name: str, matchers: str = "", by: str = "le") -> str:
    """Of a histogram."""
    return f"histogram_quantile({q}, {rate(f'{name}_bucket', matchers, by)})"


def quantiles(levels: tuple[float, ...], name: str, matchers: str = "") -> tuple[Query, ...]:
    """A line for each, called `p50` and so on."""
    return tuple(Query(quantile(q, name, matchers), f"p{100 * q:.0f}") for q in levels)


OF_EDGE = 'job="edge"'
OF_LANGUAGE = 'language="$language"'
BOTH_ACTIONS = "champion_action, shadow_action"
OF_FIRED = f'{OF_LANGUAGE},measure="fired"'
OF_REFUSED = f'{OF_LANGUAGE},measure="refused"'
OF_STEERED = f'{OF_LANGUAGE},action="steer"'
