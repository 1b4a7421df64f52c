"""The page stands alone, says what it shows in words, and is well formed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from recal.evaluation.report import EvaluationReport
from recal.evaluation.report_html import to_html
from tests.unit.recal.evaluation.stage import asked, evaluated, run

pytest.importorskip("matplotlib", reason="the report's pictures need the extra `report`")

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Counts what is on a page, and complains of tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.pointed: list[str] = []
        self.unnamed_pictures = 0
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        if found.get("id"):
            self.ids[str(found["id"])] += 1
        for name in ("src", "href", "srcset", "action"):
            target = str(found.get(name) or "")
            (self.pointed if target.startswith("#") else self.fetched).extend(
                [target][: bool(target)]
            )
        self.unnamed_pictures += tag == "svg" and len(str(found.get("aria-label") or "")) < 20
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@cache
def html() -> str:
    return to_html(*evaluated())


@cache
def page() -> Page:
    return Page(html())


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    assert page().fetched == []
    assert page().tags["script"] == 0
    assert not re.search(r"@import|url\((?!#)|https?://(?!www\.w3\.org)", html())


def test_every_picture_has_words() -> None:
    assert page().tags["svg"] == page().tags["figure"] == page().tags["figcaption"]
    assert page().tags["svg"] > len(evaluated().report.readouts) + 6
    assert page().unnamed_pictures == 0


def test_no_two_things_share_an_id_and_every_link_inside_leads_somewhere() -> None:
    assert [name for name, n in page().ids.items() if n > 1] == []
    assert {target[1:] for target in page().pointed} <= set(page().ids)


def test_tables_are_tables() -> None:
    assert page().tags["table"] == page().tags["caption"]
    assert html().count('scope="row"') > 100
    assert page().tags["h1"] == 1


def test_no_stand_in_colour_is_left() -> None:
    assert "#0101" not in html()
    assert "#0102" not in html()
    assert "#0103" not in html()
    assert set(re.findall(r"var\(--([\w-]+)\)", html())) <= set(re.findall(r"--([\w-]+):", html()))


def test_the_notice_stands_above_everything() -> None:
    assert "A fake." in html()
    assert html().index("A fake.") < html().index("Summary</h2>")
    assert 'class="notice"' not in to_html(*evaluated()._replace(report=without_notice()))


def without_notice() -> EvaluationReport:
    return replace(evaluated().report, notice="")


def test_what_is_measured_is_text_and_never_markup() -> None:
    nasty = replace(evaluated().report, backbone="<script>x</script>", judge='"><b>')
    text = to_html(nasty, evaluated().exhibits)
    assert "<script>" not in text
    assert "<b>" not in text


def test_no_text_of_a_prompt_is_on_the_page() -> None:
    assert not any(p.text in html() for p in asked().prompts)


def test_the_page_stays_small() -> None:
    assert len(html()) < 800_000


def test_a_page_of_one_arm_and_one_k_has_no_curves_and_no_losses() -> None:
    text = to_html(*run(("oracle",), languages=("en",)))
    assert "Δ over k" not in text
    assert "Where the points are lost" in text
    assert "Where the points are lost" not in to_html(*run((), languages=("en", "sw")))
