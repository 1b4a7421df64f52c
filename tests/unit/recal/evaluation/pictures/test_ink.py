"""One canvas: colours of the page, words for who cannot see, ids that do not collide."""

from __future__ import annotations

import re

import pytest

from recal.evaluation.pictures.ink import SERIES, canvas, drawn, looks, refuse_without_matplotlib

pytest.importorskip("matplotlib", reason="the report's pictures need the extra `report`")


def svg(name: str = "a", alt: str = "two points, rising") -> str:
    with canvas(150) as axes:
        axes.plot([1, 2], [1, 2], "o-", color=SERIES[1])
        return drawn(axes, name=name, alt=alt, caption="").svg


def test_colours_are_the_pages() -> None:
    assert "var(--series-1)" in svg()
    assert "var(--ink)" in svg()
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r'"#\w+"|url\(#\w+\)', "", svg()))


def test_the_picture_is_named_by_its_words_whatever_they_hold() -> None:
    assert 'role="img" aria-label="&quot;a&quot; &lt; b &amp; \\1"'.replace("\\1", "1") in svg(
        alt='"a" < b & \\1'
    )


def test_two_pictures_share_no_id_and_the_same_one_is_made_twice_alike() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', svg(name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert svg() == svg()


def test_the_picture_grows_with_the_page_and_keeps_its_letters() -> None:
    assert re.match(r'<svg viewBox="0 0 360 150" role', svg())
    assert "<text" in svg()
    assert "font-family" not in svg()


def test_methods_differ_by_more_than_colour() -> None:
    found = looks(
        ["untouched", "paper", "recal", "best", "oracle", "steer_all", "release_all", "x"]
    )
    assert len({look.marker for look in found.values()}) == len(found)
    assert looks(["paper", "recal"])["recal"].colour == looks(["recal", "paper"])["recal"].colour
    assert found["recal"].colour == SERIES[1]


def test_many_methods_still_have_a_look() -> None:
    assert len(looks([f"method {i}" for i in range(30)])) == 30


def test_matplotlib_is_there() -> None:
    refuse_without_matplotlib()
