"""What the console makes of series and aliases."""

from __future__ import annotations

import pytest

from recal.console.figures import Share, figures
from services.drift.sources import Sample
from tests.unit.recal.console.stage import ALIASES, Fleet, Shown

FOUND = figures(Shown(Fleet()).read(), ALIASES)


def test_languages_are_those_loaded_counted_or_promoted() -> None:
    assert [each.language for each in FOUND.languages] == ["my", "sw", "yo"]
    promoted = figures([], {"am": {"champion": 1}, "readout": {"champion": 1}})
    assert [each.language for each in promoted.languages] == ["am"]
    assert promoted.languages[0].champion is not None


def test_versions_stand_in_the_order_of_their_roles_from_replicas_and_registry() -> None:
    sw = FOUND.language("sw")
    assert sw is not None
    assert [(each.version, each.roles) for each in sw.versions] == [
        ("sw@3", ("champion",)),
        ("sw@4", ("challenger",)),
        ("sw@5", ("shadow",)),
    ]
    assert sw.canary_share == 0.1
    assert sw.shadow == Share(41, 741)
    without = figures(Shown(Fleet()).read()).language("sw")
    assert without is not None
    assert [each.version for each in without.versions] == ["sw@3", "sw@4"]


def test_shares_are_counted_by_version() -> None:
    sw = FOUND.language("sw")
    assert sw is not None
    champion, challenger, _ = sw.versions
    assert champion.steered == Share(880, 8000)
    assert challenger.steered == Share(171, 900)
    assert champion.refused == Share(810, 8000)
    assert champion.scores.sum() == 600
    assert challenger.steered.interval == pytest.approx((0.165, 0.217), abs=0.002)


def test_what_the_monitor_says_is_told_by_version() -> None:
    yo, my = FOUND.language("yo"), FOUND.language("my")
    assert yo is not None
    assert my is not None
    assert yo.alarms == ("fired",)
    assert yo.champion is not None
    assert yo.champion.drift is not None
    assert (yo.champion.drift.baseline, yo.champion.drift.high) == (0.15, pytest.approx(0.2))
    assert my.champion is not None
    assert my.champion.drift is None


def test_a_share_of_nothing_is_none() -> None:
    assert (Share(0, 0).rate, Share(0, 0).interval) == (None, None)


def test_prompts_without_a_language_or_a_calibration_make_no_row() -> None:
    labels = (("action", "steer"), ("calibration_version", "none"), ("language", "other"))
    assert figures([Sample("recal_verdicts_total", labels, 5.0)]).languages == ()
