"""One canvas for every picture: matplotlib to inline SVG in the page's own colours and type."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 360
"""Units across: about a phone's width, so that a unit of type is about a pixel there."""
_INCH = 72
_FONT = 11
_RIGHT, _BOTTOM = 10, 34

# Stand-ins: matplotlib wants a colour, the page gives one for light and one for dark.
INK, FAINT, PAPER = "#010101", "#010102", "#010103"
HARMFUL, HARMLESS = "#010201", "#010202"
SERIES = tuple(f"#0103{i:02x}" for i in range(8))

_VARIABLES: Mapping[str, str] = {
    INK: "ink",
    FAINT: "faint",
    PAPER: "paper",
    HARMFUL: "harmful",
    HARMLESS: "harmless",
    **{colour: f"series-{i}" for i, colour in enumerate(SERIES)},
}

_METHODS = {"untouched": 0, "recal": 1, "paper": 2, "best": 3, "oracle": 4, "saved": 6}
MARKERS = "osD^vPXh"


class Picture(NamedTuple):
    """A picture for the page."""

    svg: str
    alt: str
    """What it shows, for who cannot see it; the numbers stand in a table."""
    caption: str


class Look(NamedTuple):
    """How a method is drawn, the same everywhere."""

    colour: str
    marker: str
    line: str


def looks(methods: list[str]) -> dict[str, Look]:
    """A look for every method; colour is never the only difference."""
    free = [i for i in (5, 7, 6, 3, 4, 2, 1) if i not in {_METHODS.get(m) for m in methods}]
    found: dict[str, Look] = {}
    for method in methods:
        index = _METHODS[method] if method in _METHODS else free.pop(0) if free else 7
        line = ("-", "--", "-.", ":")[len(found) % 4]
        found[method] = Look(SERIES[index], MARKERS[len(found) % len(MARKERS)], line)
    return found


def refuse_without_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ValueError("the report's pictures need matplotlib; pip install 'recal-gate[report]'")


@contextmanager
def canvas(
    height: float, *, width: float = WIDTH, left: float = 48, top: float = 12
) -> Iterator[Axes]:
    """Axes on a picture.

    Args:
        height: of the whole picture, in units.
        width: the same, across.
        left: room for the labels of the vertical axis.
        top: room for a legend.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / _INCH, height / _INCH), facecolor="none")
        across = (width - left - _RIGHT) / width
        up = (height - _BOTTOM - top) / height
        axes = figure.add_axes((left / width, _BOTTOM / height, across, up))
        axes.set_facecolor("none")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, axis="both")
        axes.set_axisbelow(True)
        yield axes


_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "font.size": _FONT,
    "axes.labelsize": _FONT,
    "xtick.labelsize": _FONT,
    "ytick.labelsize": _FONT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
}


def legend(axes: Axes, *, columns: int = 2) -> None:
    """What the marks mean, above the axes, where `canvas` left room for it."""
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=axes.figure.transSubfigure,
        ncols=columns,
        frameon=False,
        fontsize=_FONT,
        handlelength=1.8,
        borderaxespad=0.2,
        columnspacing=1.2,
    )


def drawn(axes: Axes, *, name: str, alt: str, caption: str) -> Picture:
    """The axes' figure as a picture.

    Args:
        axes: from `canvas`, still inside of it.
        name: unlike every other picture's on the page; its inner ids are made from it.
        alt: what it shows, in words.
        caption: what stands under it.
    """
    figure = axes.figure
    return Picture(_svg(figure, name, alt), alt, caption)  # type: ignore[arg-type]


def _svg(figure: Figure, name: str, alt: str) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    # inner ids are hashes with this salt: two pictures on a page must not share any
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for unwanted in (r"<metadata>.*?</metadata>\s*", r"<style.*?</style>\s*", _FONT_FAMILY):
        text = re.sub(unwanted, "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text).replace("xlink:href", "href")
    text = re.sub(r"(<g[^>]*)>\s*((?:<use [^>]*/>\s*){8,})", _one_style, text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var(--{variable})")
    opening = f'<svg viewBox="\\1" role="img" aria-label="{_quoted(alt)}">'
    return re.sub(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', opening, text, count=1)


_FONT_FAMILY = r"font-family: [^;\"]*;? ?"


def _one_style(match: re.Match[str]) -> str:
    """The style that many marks of one group repeat, said once."""
    styles = set(re.findall(r' style="[^"]*"', match[2]))
    if len(styles) != 1:
        return match[0]
    style = styles.pop()
    return f"{match[1]}{style}>{match[2].replace(style, '')}"


def _quoted(text: str) -> str:
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return plain.replace("\\", "")
