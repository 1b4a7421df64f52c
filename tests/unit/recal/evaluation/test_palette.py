"""The page's colours can be told from what lies behind them, by day and by night."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("recal.evaluation") / "report.html.jinja").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_words_and_marks_stand_out(scheme: dict[str, str]) -> None:
    for behind in ("paper", "raised"):
        for name in ("ink", "soft", "link"):
            assert contrast(scheme[name], scheme[behind]) >= 4.5, name
        for name in ("harmful", "harmless", *(f"series-{i}" for i in range(8))):
            assert contrast(scheme[name], scheme[behind]) >= 3.0, name
    assert contrast(scheme["ink"], scheme["notice"]) >= 4.5


def test_both_schemes_have_every_colour() -> None:
    assert set(LIGHT) == set(DARK) >= {"ink", "paper", "series-7"}


def test_contrast_by_the_textbook() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
