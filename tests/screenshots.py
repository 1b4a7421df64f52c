"""Pictures of the console and of an evaluation report for the documents: `make screenshots`.

Both show made-up numbers: the fleet that the console's tests look at, and the small evaluation that
the report's tests look at.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from recal.evaluation.report_html import to_html
from tests.browser import LAPTOP, PHONE, Page, Window, browsing
from tests.unit.recal.console.serving import served_console
from tests.unit.recal.console.stage import Fleet
from tests.unit.recal.evaluation.stage import evaluated

FOLDER = Path(__file__).parents[1] / "docs" / "images"
_COLOURS = 128


def shoot(
    page: Page, url: str, window: Window, name: str, *, height: int, at: str = "body"
) -> None:
    """Write what a page looks like from an element on, `height` pixels of it, with few colours."""
    page.open(url, window._replace(height=height))
    page.ask(f"document.querySelector({at!r}).scrollIntoView({{behavior: 'instant'}})")
    picture = Image.open(io.BytesIO(page.picture(whole=False))).convert("RGB")
    small = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
    FOLDER.mkdir(parents=True, exist_ok=True)
    small.save(FOLDER / f"{name}.png", optimize=True)


def main() -> None:
    """Take all of them."""
    with browsing() as page, served_console(Fleet(crowded=True)) as address:
        shoot(page, f"{address}/", LAPTOP, "console-fleet", height=1400)
        shoot(page, f"{address}/languages/sw", LAPTOP, "console-language", height=1180)
        shoot(page, f"{address}/languages/yo", PHONE, "console-phone", height=960)
        night = Window(LAPTOP.width, LAPTOP.height, dark=True)
        shoot(page, f"{address}/", night, "console-night", height=900)
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.html"
            report.write_text(to_html(*evaluated()), encoding="utf-8")
            shoot(page, report.as_uri(), LAPTOP, "evaluation-report", height=1300, at="#methods")


if __name__ == "__main__":
    main()
