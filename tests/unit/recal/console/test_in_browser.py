"""The console in a real browser, as wide as a phone and as a laptop, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("matplotlib", reason="pictures need the extra `report`")

from tests.browser import CHROMIUM, LAPTOP, PHONE, Page, Window, browsing
from tests.unit.recal.console.serving import served_console
from tests.unit.recal.console.stage import Fleet

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: nobody looked at the page")
WINDOWS = pytest.mark.parametrize("window", [PHONE, LAPTOP, Window(390, 844, dark=True)])
PATHS = pytest.mark.parametrize("path", ["/", "/languages/sw"])

LETTERS = """Math.min(...[...document.querySelectorAll("svg text")].map(text =>
  parseFloat(getComputedStyle(text).fontSize)
    * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b)))"""
SPILLED = """Math.max(...[...document.querySelectorAll("svg text")].map(text => {
  const [own, all] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
  return Math.max(own.right - all.right, all.left - own.left);
}))"""
NAMELESS = """[...document.querySelectorAll("svg, .scroll, meter")].filter(each =>
  each.tagName != "METER" && !each.getAttribute("aria-label")).length"""
CONTRAST = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = each => {
    for (; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour != "rgba(0, 0, 0, 0)") return colour;
    }
  };
  const written = "h1, h2, p, th, td, li, b, a, figcaption, small, .tag";
  return Math.min(...[...document.querySelectorAll(written)]
    .map(each => [light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a))
    .map(([high, low]) => (high + 0.05) / (low + 0.05)));
})()"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served_console(Fleet(crowded=True)) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browsing() as found:
        yield found


@WINDOWS
@PATHS
def test_nothing_is_cut_off_too_small_or_too_faint(
    page: Page, address: str, path: str, window: Window
) -> None:
    page.open(address + path, window)
    assert page.ask("document.documentElement.scrollWidth") <= window.width
    assert page.ask(LETTERS) >= 8.5
    assert page.ask(SPILLED) < 3
    assert page.ask(CONTRAST) >= 4.5


@PATHS
def test_who_cannot_see_a_picture_is_told_what_it_shows(
    page: Page, address: str, path: str
) -> None:
    page.open(address + path, LAPTOP)
    assert page.ask("document.querySelectorAll('svg').length") > 0
    assert page.ask(NAMELESS) == 0
    assert page.ask("document.documentElement.lang") == "en"
    assert page.ask("document.querySelectorAll('h1').length") == 1


def test_the_page_asks_nobody_else_for_anything_and_breaks_none_of_its_own_rules(
    page: Page, address: str
) -> None:
    page.requests.clear()
    page.complaints.clear()
    for path in ("/", "/languages/sw", "/languages/yo"):
        page.open(address + path, LAPTOP)
    asked = [each for each in page.requests if not each.endswith("/favicon.ico")]
    assert len(asked) >= 4
    assert all(each.startswith(f"{address}/") for each in asked)
    assert [each for each in page.complaints if "favicon" not in each] == []
    assert page.ask("getComputedStyle(document.querySelector('svg text')).fill") != "none"


def test_a_row_leads_to_its_language_and_back(page: Page, address: str) -> None:
    page.open(address + "/", PHONE)
    link = page.ask("document.querySelector('tbody a[href=\"/languages/sw\"]').href")
    page.open(link, PHONE)
    assert page.ask("document.title") == "Recal: sw"
    assert page.ask("document.querySelector('.brand a').getAttribute('href')") == "/"
