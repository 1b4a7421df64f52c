"""The console over HTTP: its pages, its headers, and what it says when something is away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra `report`")

import httpx2
from starlette.applications import Starlette

from recal.console.app import Aliases, Reader, ago, console
from tests.unit.recal.console.stage import ALIASES, NOW, Fleet, Shown


class Served:
    """The application, called without a network."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def get(self, path: str, method: str = "GET") -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self._app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://console") as client:
            return await client.request(method, path)


def served(
    shown: Shown | None = None,
    aliases: Callable[[], Aliases] = lambda: ALIASES,
    clock: Callable[[], float] = lambda: NOW,
) -> Served:
    return Served(console(Reader(shown or Shown(Fleet()), aliases, clock=clock)))


async def test_the_fleet_shows_every_language_with_its_versions_and_state() -> None:
    page = (await served().get("/")).text
    rows = re.findall(r'<tr>\s*<th scope="row">.*?</tr>', page, re.DOTALL)
    assert len(rows) == 3
    sw, yo = rows[1], rows[2]
    assert all(text in sw for text in ("sw@3", "sw@4 (10.0 %)", "sw@5", "10.8 %", "calm", "8,900"))
    assert all(text in yo for text in ("yo@2", "22.3 %", "15.0 %", "drifting", "1.00", "0.21"))
    assert page.count("<svg ") == 1
    assert "Drifting: yo." in page


async def test_a_language_shows_its_histograms_its_canary_and_its_alarm() -> None:
    client = served()
    sw, yo = (await client.get("/languages/sw")).text, (await client.get("/languages/yo")).text
    assert sw.count("<svg ") == 3
    assert "Version by version: sw@3 steers 11.0%, sw@4 steers 19.0%." in sw
    assert "the threshold is 0.40" in sw
    assert "5.5 %</b> of 741 decided otherwise by the shadow" in sw
    assert "The share of prompts steered moved away from the baseline" in yo


@pytest.mark.parametrize(
    "path", ["/", "/languages/sw", "/console.css", "/healthz", "/nothing", "/languages/xx"]
)
async def test_every_answer_forbids_scripts_frames_and_strangers(path: str) -> None:
    answer = await served().get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|https?://(?!console)|@import", answer.text)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(method: str) -> None:
    assert (await served().get("/", method)).status_code == 405


async def test_what_is_unknown_is_not_found() -> None:
    answer = await served().get("/languages/<b>x")
    assert (answer.status_code, "<b>" in answer.text) == (404, False)


async def test_names_from_outside_are_text_and_no_markup() -> None:
    fleet = Fleet()
    fleet.serves("<img src=x>$a$", 1, steered=0.5, role="champion")
    client = served(Shown(fleet))
    page = (await client.get("/")).text
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert (await client.get("/languages/%3Cimg%20src=x%3E$a$")).status_code == 200


async def test_an_edge_or_a_registry_that_is_away_is_said_on_the_page() -> None:
    def away() -> Mapping[str, Mapping[str, int]]:
        raise RuntimeError("secret address")

    shown = Shown(Fleet())
    shown.is_away = True
    page = (await served(shown, away).get("/")).text
    assert "Not read: `http://edge/metrics` does not answer (URLError)" in page
    assert "the registry does not answer" in page
    assert "secret" not in page
    assert "No calibration is loaded by what was read" in page


async def test_a_probe_asks_nobody_and_is_answered_while_all_are_away() -> None:
    shown = Shown(Fleet())
    shown.is_away = True
    assert (await served(shown).get("/healthz")).status_code == 200
    assert shown.reads == 0


async def test_many_readers_ask_no_more_than_one() -> None:
    shown, now = Shown(Fleet()), [NOW]
    client = served(shown, clock=lambda: now[0])
    for _ in range(3):
        await client.get("/")
    assert shown.reads == 1
    now[0] += 11
    await client.get("/")
    assert shown.reads == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (3, "3 s"), (61, "1 minute"), (7300, "2 hours"), (9e5, "10 days")],
)
def test_a_time_span_is_told_roughly(seconds: float | None, words: str) -> None:
    assert ago(seconds) == words
