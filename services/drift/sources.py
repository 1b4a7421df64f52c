"""Where counts come from: Prometheus' HTTP API, or the metrics pages of the processes."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 10.0
_NAME = re.compile(r"^(?:ray_)?(recal_\w+)$")
_OURS = '{__name__=~"(ray_)?recal_.+"}'


class SourceUnreachable(Exception):
    """Counts cannot be read now; the message says from where, and what to look at."""


@dataclass(frozen=True)
class Sample:
    """One number of one series."""

    name: str
    """Ours, without what Ray puts in front."""
    labels: tuple[tuple[str, str], ...]
    """All of them, sorted; with which process it is of."""
    value: float

    @property
    def key(self) -> str:
        """Names the series."""
        inner = ",".join(f"{name}={value!r}" for name, value in self.labels)
        return f"{self.name}{{{inner}}}"

    def label(self, name: str) -> str:
        """A label's value; empty where there is none."""
        return next((value for key, value in self.labels if key == name), "")


class Source(Protocol):
    """Gives every series of ours as it is now."""

    def read(self) -> list[Sample]:
        """Read all.

        Raises:
            SourceUnreachable: there is no answer, or none that can be read.
        """


class Pages:
    """The metrics pages of processes: an edge, an embedded runtime, nodes of Ray."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Read from `urls`.

        Raises:
            ValueError: one is no http address, or there are none.
        """
        if not urls:
            raise ValueError(
                "no metrics page is named; give one, e.g. http://127.0.0.1:9464/metrics"
            )
        self._urls = tuple(_http(url) for url in urls)

    def read(self) -> list[Sample]:
        """Read all pages; see `Source`. One that is away ends it, so that nothing is half read."""
        return [sample for url in self._urls for sample in parsed(_text(_get(url)), url)]


class Prometheus:
    """A Prometheus server that scrapes the processes."""

    def __init__(self, url: str) -> None:
        """Ask the server at `url`, e.g. http://prometheus:9090.

        Raises:
            ValueError: it is no http address.
        """
        self._url = _http(url).rstrip("/")

    def read(self) -> list[Sample]:
        """The last value of each series; see `Source`."""
        return list(self.query(_OURS))

    def query(self, expression: str) -> Iterator[Sample]:
        """An instant query's vector.

        Raises:
            SourceUnreachable: there is no answer, or none that can be read.
        """
        url = f"{self._url}/api/v1/query?{urlencode({'query': expression})}"
        try:
            answer = json.loads(_get(url))
            rows = answer["data"]["result"]
            yield from (row for each in rows if (row := _of_row(each)) is not None)
        except (ValueError, KeyError, TypeError):
            raise SourceUnreachable(
                f"`{self._url}` does not answer as Prometheus does; check the address"
            ) from None


def parsed(text: str, process: str) -> Iterator[Sample]:
    """Our series of a metrics page.

    Args:
        text: in Prometheus' text format.
        process: whose page it is; becomes the label `page`.

    Raises:
        SourceUnreachable: it is no such page.
    """
    try:
        for family in text_string_to_metric_families(text):
            if not _NAME.match(family.name):
                continue
            for each in family.samples:
                found = _NAME.match(each.name)
                if found:
                    labels = {**each.labels, "page": process}
                    yield Sample(found[1], tuple(sorted(labels.items())), float(each.value))
    except (ValueError, KeyError, IndexError):
        raise SourceUnreachable(f"`{process}` is no page of metrics; check the address") from None


def _of_row(row: Any) -> Sample | None:
    labels = dict(row["metric"])
    found = _NAME.match(labels.pop("__name__", ""))
    if not found:
        return None
    return Sample(found[1], tuple(sorted(labels.items())), float(row["value"][1]))


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"`{url}` is no http address; give for example http://127.0.0.1:9090")
    return url


def _get(url: str) -> bytes:
    shown = url.partition("?")[0]
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise SourceUnreachable(f"`{shown}` answers {error.code}; check the address") from None
    except OSError as error:
        raise SourceUnreachable(
            f"`{shown}` does not answer ({type(error).__name__}); "
            "see that it runs and can be reached"
        ) from None
