"""The page in a real browser, as wide as a phone and as a laptop. Skipped where there is none."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from recal.evaluation.report_html import to_html
from tests.unit.recal.evaluation.stage import evaluated

pytest.importorskip("matplotlib", reason="the report's pictures need the extra `report`")

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=4000",
)
MEASURE = """
<script>
const found = {};
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument;
  page.querySelectorAll("details").forEach(fold => fold.open = true);
  const pictures = [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect());
  found[frame.width] = {
    width: page.documentElement.scrollWidth,
    pictures: pictures.length,
    narrowest: Math.min(...pictures.map(box => box.width)),
    widest: Math.max(...pictures.map(box => box.right)),
    letters: Math.min(...[...page.querySelectorAll("svg text")].map(
      text => parseFloat(getComputedStyle(text).fontSize)
        * Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b))),
    spilled: Math.max(...[...page.querySelectorAll("svg text")].map(text => {
      const [own, all] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
      return Math.max(own.right - all.right, all.left - own.left);
    })),
    unmarked: [...page.querySelectorAll("svg use")].filter(use => !use.getBBox().width
      && !use.getBBox().height).length,
  };
}
document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
</script>
"""


def measured(page: str, folder: Path) -> dict[str, dict[str, float]]:
    frames = "".join(
        f'<iframe width="{width}" height="800" srcdoc="{html.escape(page)}"></iframe>'
        for width in (360, 1280)
    )
    wrapper = folder / "wrapper.html"
    script = MEASURE.replace("const found", "window.onload = () => { const found", 1)
    script = script.replace("</script>", "};</script>")
    wrapper.write_text(f"<!doctype html><body>{frames}{script}", encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    text = done.stdout.split("<pre>")[1].split("</pre>")[0]
    found: dict[str, dict[str, float]] = json.loads(html.unescape(text))
    return found


@pytest.mark.skipif(BROWSER is None, reason="no chromium here: nobody has looked at the page")
def test_nothing_is_cut_off_or_too_small_on_a_phone_or_a_laptop(tmp_path: Path) -> None:
    page = to_html(*evaluated())
    for width, found in measured(page, tmp_path).items():
        assert found["pictures"] == page.count("<svg ")
        assert found["width"] <= int(width)
        assert found["widest"] <= int(width)
        assert found["narrowest"] > 200
        assert found["letters"] >= 8.5
        assert found["spilled"] < 3
        assert found["unmarked"] == 0
    wide = page.replace("<main>", '<main><div style="width: 500px">x</div>')
    assert measured(wide, tmp_path)["360"]["width"] >= 500
