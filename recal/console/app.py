"""The console's pages over HTTP: two kinds, read-only, no script, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from recal.console.figures import FleetFigures, figures
from recal.console.numbers import Numbers
from recal.console.pictures import histogram, shares, versions
from services.drift.sources import SourceUnreachable

log = logging.getLogger(__name__)

HEADERS: Mapping[str, str] = {
    # Pictures carry their colours in `style` attributes; scripts there are none.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_KEPT_S = 10.0
"""What was read is shown for so long, so that many readers ask no more than one."""
_MEASURES = {
    "fired": "the share of prompts steered",
    "refused": "the share of answers that refuse",
    "score": "where scores lie",
}

Aliases = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Seen:
    """One reading."""

    fleet: FleetFigures
    at: float
    """Seconds since 1970."""
    troubles: tuple[str, ...]
    """What could not be read, in words."""


class Reader:
    """Reads numbers and aliases, at most every few seconds."""

    def __init__(
        self,
        numbers: Numbers,
        aliases: Callable[[], Aliases],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read nothing yet.

        Args:
            numbers: of what serves.
            aliases: of the registry; raises what it raises.
            clock: seconds since 1970.
        """
        self.over = numbers.over
        self._numbers, self._aliases, self._clock = numbers, aliases, clock
        self._seen: Seen | None = None
        self._one_at_a_time = asyncio.Lock()

    async def seen(self) -> Seen:
        """What is there now, or was a moment ago."""
        async with self._one_at_a_time:
            if self._seen is None or self._clock() - self._seen.at >= _KEPT_S:
                self._seen = await asyncio.to_thread(self._read)
            return self._seen

    def _read(self) -> Seen:
        troubles: list[str] = []
        samples, aliases = [], {}
        try:
            samples = self._numbers.read()
        except SourceUnreachable as error:
            troubles.append(str(error))
        try:
            aliases = dict(self._aliases())
        except Exception as error:
            log.warning("the registry was not read: %s", type(error).__name__)
            troubles.append(
                "the registry does not answer (`recal doctor`); roles are as replicas say"
            )
        return Seen(figures(samples, aliases), self._clock(), tuple(troubles))


def console(reader: Reader) -> Starlette:
    """The application."""
    pages = _Pages(reader)
    routes = [
        Route("/", pages.fleet),
        Route("/languages/{language}", pages.language),
        Route("/console.css", pages.style),
        Route("/healthz", _alive),
    ]
    handlers: Any = {404: _missing, 500: _broken}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Pages:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._style = (files("recal.console") / "console.css").read_text(encoding="utf-8")
        environment = Environment(
            loader=PackageLoader("recal.console", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"svg": Markup, "percent": percent, "ago": ago, "measure": measure}
        environment.filters["clock"] = clock
        self._templates = environment

    async def fleet(self, _: Request) -> Response:
        seen = await self._reader.seen()
        picture = await asyncio.to_thread(shares, seen.fleet)
        return self._page("fleet.html.jinja", seen, picture=picture)

    async def language(self, request: Request) -> Response:
        seen = await self._reader.seen()
        found = seen.fleet.language(request.path_params["language"])
        if found is None:
            return _missing(request, None)
        return self._page(
            "language.html.jinja",
            seen,
            language=found,
            histograms=[
                picture
                for each in found.versions
                if (picture := await asyncio.to_thread(histogram, found, each))
            ],
            comparison=await asyncio.to_thread(versions, found),
        )

    async def style(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css", headers=dict(HEADERS))

    def _page(self, name: str, seen: Seen, **more: Any) -> Response:
        template = self._templates.get_template(name)
        text = template.render(seen=seen, fleet=seen.fleet, over=self._reader.over, **more)
        return HTMLResponse(text, headers=dict(HEADERS))


async def _alive(_: Request) -> Response:
    """For a probe: asks neither Prometheus nor the registry, whose troubles a page tells."""
    return PlainTextResponse("ok\n", headers=dict(HEADERS))


def _missing(_: Request, __: object) -> Response:
    return PlainTextResponse(
        "nothing is known of that; the languages are on /\n", status_code=404, headers=dict(HEADERS)
    )


def _broken(_: Request, error: Exception) -> Response:
    log.error("a page could not be made: %s", type(error).__name__)
    return PlainTextResponse(
        "this page could not be made; the console's log has more\n",
        status_code=500,
        headers=dict(HEADERS),
    )


def percent(rate: float | None) -> str:
    """A share for people; a dash where there is none."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def ago(seconds: float | None) -> str:
    """A time span, roughly."""
    if seconds is None:
        return "–"
    for unit, length in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= length:
            n = int(seconds // length)
            return f"{n} {unit}{'s' if n != 1 else ''}"
    return f"{max(0, int(seconds))} s"


def clock(seconds: float) -> str:
    """A time of day in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def measure(name: str) -> str:
    """What a measure of the monitor is of."""
    return _MEASURES.get(name, name)
