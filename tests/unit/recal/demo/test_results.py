"""The demo's bars: each is met, and each can be missed."""

from dataclasses import replace
from pathlib import Path

import pytest

from recal.demo.picture import draw
from recal.demo.results import DemoLanguage, DemoResults
from recal.demo.table import result_table
from recal.evaluation.behaviour import Behaviour
from recal.languages import ALL, tier_of


def _behaviour(harmful: float, harmless: float) -> Behaviour:
    delta = harmful - harmless
    return Behaviour(harmful, harmless, delta, delta - 5, delta + 5, 0.0)


def _results() -> DemoResults:
    gap = {"high": (95.0, 1.0), "mid": (85.0, 1.0), "low": (10.0, 0.0)}
    mended = {"high": (96.0, 2.0), "mid": (90.0, 3.0), "low": (80.0, 10.0)}
    languages = {}
    for name in ALL:
        tier = tier_of(name)
        languages[name] = DemoLanguage(
            tier=tier,
            auc=0.95,
            untouched=_behaviour(*gap[tier]),
            paper=_behaviour(70.0 if tier == "low" else mended[tier][0], 12.0),
            recal=_behaviour(*mended[tier]),
        )
    return DemoResults(languages, 4, 3, 40, "organism", {"ray": "2"}, 100.0, "a model organism")


def _with(results: DemoResults, language: str, **changes: Behaviour) -> DemoResults:
    changed = replace(results.languages[language], **changes)
    return replace(results, languages={**results.languages, language: changed})


def test_a_demo_that_mends_the_gap_meets_every_bar() -> None:
    assert [bar.met for bar in _results().bars()] == [True] * 4


def test_a_language_that_becomes_less_safe_misses_its_bar_by_name() -> None:
    results = _with(_results(), "yo", recal=_behaviour(9.0, 0.0))
    bar = results.bars()[2]
    assert not bar.met
    assert "yo 10 → 9" in bar.measured


def test_a_small_rise_misses_the_first_bar_and_falling_below_the_paper_the_second() -> None:
    results = _results()
    for name in [n for n, r in results.languages.items() if r.tier == "low"]:
        results = _with(results, name, recal=_behaviour(35.0, 0.0))
    assert [bar.met for bar in results.bars()] == [False, False, True, True]


@pytest.mark.parametrize("recal", [_behaviour(20.0, 1.0), _behaviour(95.0, 40.0)])
def test_moving_high_resource_languages_misses_the_last_bar(recal: Behaviour) -> None:
    assert not _with(_results(), "en", recal=recal).bars()[3].met


def test_the_json_has_the_promised_shape() -> None:
    found = _results().to_json()
    assert set(found["languages"]) == set(ALL)
    assert found["languages"]["sw"]["tier"] == "low"
    assert found["languages"]["sw"]["untouched"]["harmful_refusal"] == 10.0
    assert found["mean_low"] == {
        "untouched_delta": 10.0,
        "paper_delta": 58.0,
        "recal_delta": 70.0,
    }
    assert {"k", "model", "versions", "seconds"} <= set(found)


def test_the_table_has_a_row_for_every_language_and_tier() -> None:
    assert result_table(_results()).row_count == len(ALL) + 3


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    draw(_results(), tmp_path / "made" / "refusal.png")
    assert (tmp_path / "made" / "refusal.png").read_bytes().startswith(b"\x89PNG")


def test_a_tier_without_languages_has_no_mean() -> None:
    results = _results()
    high = {n: r for n, r in results.languages.items() if r.tier == "high"}
    with pytest.raises(ValueError, match="no low-resource language"):
        replace(results, languages=high).mean_delta("low", "recal")
