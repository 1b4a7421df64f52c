"""Who decides for which traffic: every move of an alias, and what keeps one from being made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow import MlflowClient

from recal.errors import (
    NothingBefore,
    PromotionRefused,
    UnknownVersion,
    VersionRevoked,
    WrongStanding,
)
from recal.registry import Registry, Standing
from services.readout.naming import CANARY_SHARE_TAG
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture
def sw(shelf: Shelf) -> str:
    """sw@1 to sw@4 are evaluated, sw@1 serves with readout@1; the name of the model."""
    readout = shelf.readout()
    for threshold in (0.1, 0.2, 0.3, 0.4):
        shelf.evaluated(readout, threshold=threshold)
    shelf.registry.promote(shelf.readout_model, 1)
    shelf.registry.promote(shelf.model_of("sw"), 1)
    return shelf.model_of("sw")


def client_of(shelf: Shelf) -> MlflowClient:
    return MlflowClient(shelf.registry.tracking_uri, shelf.registry.tracking_uri)


def standing(shelf: Shelf, model: str) -> tuple[dict[str, int], str | None]:
    found: Standing = shelf.registry.standing(model)
    return dict(found.aliases), found.tags.get(CANARY_SHARE_TAG)


def records(shelf: Shelf, model: str, version: int, verb: str) -> list[dict[str, Any]]:
    tags = shelf.registry.version(model, version).tags
    return [json.loads(tags[tag]) for tag in sorted(tags) if tag.startswith(f"{verb}.")]


def test_promotion_moves_the_alias_and_is_recorded(shelf: Shelf, sw: str) -> None:
    move = shelf.registry.promote(sw, 2)
    assert (move.from_version, move.to_version, move.overruled) == (1, 2, ())
    assert standing(shelf, sw) == ({"champion": 2}, None)
    (record,) = records(shelf, sw, 2, "promotion")
    assert (record["from"], record["to"], record["overruled"]) == (1, 2, [])


def test_the_champions_of_a_backbone_are_listed(shelf: Shelf, sw: str) -> None:
    shelf.evaluated(shelf.readout(), "am")
    assert [v.label for v in shelf.registry.champions(shelf.backbone.name)] == ["readout@1", "sw@1"]


def test_a_promotion_of_the_champion_changes_nothing(shelf: Shelf, sw: str) -> None:
    assert shelf.registry.promote(sw, 1).changes_nothing
    assert len(records(shelf, sw, 1, "promotion")) == 1
    with pytest.raises(NothingBefore):
        shelf.registry.rollback(sw)


def test_a_calibration_that_nobody_evaluated_is_not_promoted(shelf: Shelf, sw: str) -> None:
    shelf.calibration(shelf.readout())
    with pytest.raises(PromotionRefused, match=r"sw@5.*evaluation: none is stored with it"):
        shelf.registry.promote(sw, 5)
    assert standing(shelf, sw)[0] == {"champion": 1}


def test_a_version_that_is_worse_than_the_champion_is_not_promoted(shelf: Shelf, sw: str) -> None:
    shelf.evaluated(shelf.readout(), evaluation={"delta_low": 64.9})
    with pytest.raises(PromotionRefused, match=r"selectivity: the lower bound of Δ is 64\.9"):
        shelf.registry.promote(sw, 5)
    # a canary is how to find out: the margin is waived for it
    assert shelf.registry.canary(sw, 5, 0.1).to_version == 5


def test_a_reason_overrules_and_is_recorded(shelf: Shelf, sw: str) -> None:
    shelf.calibration(shelf.readout(), k=3)
    move = shelf.registry.promote(sw, 5, force_reason=" a trial ")
    assert [each.criterion for each in move.overruled] == ["examples", "evaluation"]
    (record,) = records(shelf, sw, 5, "promotion")
    assert record["reason"] == "a trial"
    assert record["overruled"][0].startswith("examples: it was made from 3 per class")


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_a_blank_reason_overrules_nothing(shelf: Shelf, reason: str | None) -> None:
    shelf.calibration(shelf.readout(), k=3)
    with pytest.raises(PromotionRefused):
        shelf.registry.promote(shelf.model_of("sw"), 1, force_reason=reason)
    assert shelf.registry.champions(shelf.backbone.name) == ()


def test_a_reason_that_nobody_would_read_is_refused(shelf: Shelf, sw: str) -> None:
    with pytest.raises(ValueError, match="has 501 characters; say it in 500"):
        shelf.registry.promote(sw, 2, force_reason="x" * 501)


def test_a_dry_run_tells_its_objections_and_writes_nothing(shelf: Shelf, sw: str) -> None:
    shelf.calibration(shelf.readout())
    before = shelf.registry.version(sw, 5).tags
    told = shelf.registry.promote(sw, 5, dry_run=True)
    assert [each.criterion for each in told.objections] == ["evaluation"]
    assert not shelf.registry.promote(sw, 2, dry_run=True).objections
    shelf.registry.canary(sw, 2, 0.5, dry_run=True)
    shelf.registry.shadow(sw, 2, dry_run=True)
    shelf.registry.revoke(sw, 2, "a test", dry_run=True)
    assert standing(shelf, sw) == ({"champion": 1}, None)
    assert shelf.registry.version(sw, 5).tags == before
    assert shelf.registry.version(sw, 2).revoked is None


def test_promotion_says_which_languages_wait(shelf: Shelf, sw: str) -> None:
    shelf.evaluated(shelf.readout(seed=1), evaluation={"data": "f" * 64})
    notes = shelf.registry.promote(sw, 5).notes
    assert "serves once the readout" in notes[0]
    assert notes[1] == "`sw@5` and `sw@1` were evaluated on different prompts"
    assert shelf.registry.promote(shelf.readout_model, 2).notes == ()
    assert "sw@5 belong to another" in shelf.registry.rollback(shelf.readout_model).notes[0]


def test_rollback_follows_the_chain_of_promotions(shelf: Shelf, sw: str) -> None:
    for version in (3, 2):
        shelf.registry.promote(sw, version)
    assert shelf.registry.rollback(sw).to_version == 3
    assert shelf.registry.rollback(sw, reason="drift").to_version == 1
    assert records(shelf, sw, 1, "rollback")[0]["reason"] == "drift"
    with pytest.raises(NothingBefore, match="`sw@1` is the first champion"):
        shelf.registry.rollback(sw)


def test_rollback_after_a_new_promotion_goes_to_what_served_before_it(
    shelf: Shelf, sw: str
) -> None:
    shelf.registry.promote(sw, 2)
    shelf.registry.rollback(sw)
    shelf.registry.promote(sw, 3)
    assert shelf.registry.rollback(sw).to_version == 1
    with pytest.raises(NothingBefore):
        shelf.registry.rollback(sw)


def test_rollback_of_an_alias_that_was_moved_by_hand_goes_to_the_last_promotion(
    shelf: Shelf, sw: str
) -> None:
    client_of(shelf).set_registered_model_alias(sw, "champion", "2")
    assert shelf.registry.rollback(sw).to_version == 1


def test_rollback_leaves_out_what_was_revoked(shelf: Shelf, sw: str) -> None:
    shelf.registry.promote(sw, 2)
    shelf.registry.promote(sw, 3)
    shelf.registry.revoke(sw, 2, "mislabelled examples")
    move = shelf.registry.rollback(sw)
    assert (move.to_version, move.notes) == (1, ("`sw@2` is revoked and was left out",))
    shelf.registry.promote(sw, 3)
    shelf.registry.revoke(sw, 1, "these too")
    with pytest.raises(NothingBefore, match=r"that may serve; `sw@1` is revoked"):
        shelf.registry.rollback(sw)


def test_a_canary_decides_for_its_share_until_it_is_ended(shelf: Shelf, sw: str) -> None:
    shelf.registry.canary(sw, 2, 0.1)
    assert standing(shelf, sw) == ({"champion": 1, "challenger": 2}, "0.1")
    shelf.registry.canary(sw, 2, 0.5)
    assert standing(shelf, sw) == ({"champion": 1, "challenger": 2}, "0.5")
    shelf.registry.canary(sw, 3, 0.05)
    assert standing(shelf, sw) == ({"champion": 1, "challenger": 3}, "0.05")
    assert shelf.registry.end_canary(sw).from_version == 3
    assert standing(shelf, sw) == ({"champion": 1}, None)
    assert [each["share"] for each in records(shelf, sw, 2, "canary")] == [0.1, 0.5]
    assert records(shelf, sw, 3, "canary")[-1]["to"] is None
    with pytest.raises(UnknownVersion, match="has no challenger"):
        shelf.registry.end_canary(sw)


def test_an_old_share_never_falls_to_a_new_challenger(shelf: Shelf, sw: str) -> None:
    """A crash of the client between two calls leaves no version with another's share."""
    shelf.registry.canary(sw, 2, 0.9)
    seen: list[tuple[dict[str, int], str | None]] = []

    class Watched(Registry):
        def _set(self, model: str, alias: str, version: int) -> None:
            seen.append(standing(shelf, model))
            super()._set(model, alias, version)

    Watched(shelf.registry._connection).canary(sw, 3, 0.01)
    assert seen == [({"champion": 1}, "0.01")]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(shelf: Shelf, sw: str, share: float) -> None:
    with pytest.raises(ValueError, match="is none; give one above 0 and at most 1"):
        shelf.registry.canary(sw, 2, share)


def test_a_promotion_of_the_challenger_ends_its_canary(shelf: Shelf, sw: str) -> None:
    shelf.registry.canary(sw, 2, 0.1)
    shelf.registry.shadow(sw, 3)
    assert shelf.registry.promote(sw, 2).ends == ("challenger",)
    assert standing(shelf, sw) == ({"champion": 2, "shadow": 3}, None)


def test_a_promotion_leaves_another_versions_canary_alone(shelf: Shelf, sw: str) -> None:
    shelf.registry.canary(sw, 2, 0.1)
    assert shelf.registry.promote(sw, 3).canary_share == 0.1
    assert standing(shelf, sw) == ({"champion": 3, "challenger": 2}, "0.1")


def test_a_shadow_becomes_a_challenger_and_is_a_shadow_no_more(shelf: Shelf, sw: str) -> None:
    shelf.registry.shadow(sw, 2)
    assert standing(shelf, sw)[0] == {"champion": 1, "shadow": 2}
    shelf.registry.canary(sw, 2, 0.2)
    assert standing(shelf, sw)[0] == {"champion": 1, "challenger": 2}


def test_a_shadow_needs_neither_examples_nor_an_evaluation(shelf: Shelf, sw: str) -> None:
    shelf.calibration(shelf.readout(), k=1)
    shelf.registry.shadow(sw, 5)
    assert standing(shelf, sw)[0]["shadow"] == 5
    with pytest.raises(PromotionRefused, match="does not become challenger: examples"):
        shelf.registry.canary(sw, 5, 0.1)
    assert shelf.registry.end_shadow(sw).from_version == 5
    assert standing(shelf, sw)[0] == {"champion": 1}


def test_a_new_language_has_a_shadow_before_it_has_a_champion(shelf: Shelf, sw: str) -> None:
    shelf.calibration(shelf.readout(), "am")
    model = shelf.model_of("am")
    shelf.registry.shadow(model, 1)
    with pytest.raises(WrongStanding, match="no champion beside which `am@1` could decide"):
        shelf.registry.canary(model, 1, 0.1)


def test_what_decides_already_is_neither_tried_nor_a_shadow(shelf: Shelf, sw: str) -> None:
    with pytest.raises(WrongStanding, match="`sw@1` is the champion"):
        shelf.registry.canary(sw, 1, 0.1)
    with pytest.raises(WrongStanding, match="`sw@1` is the champion"):
        shelf.registry.shadow(sw, 1)
    shelf.registry.canary(sw, 2, 0.1)
    with pytest.raises(WrongStanding, match="`sw@2` is the challenger"):
        shelf.registry.shadow(sw, 2)


def test_a_readout_is_promoted_and_nothing_else(shelf: Shelf, sw: str) -> None:
    shelf.readout(seed=1)
    for move in (
        lambda: shelf.registry.canary(shelf.readout_model, 2, 0.1),
        lambda: shelf.registry.shadow(shelf.readout_model, 2),
    ):
        with pytest.raises(WrongStanding, match="moves with all languages at once"):
            move()


def test_what_was_made_for_another_readout_stands_beside_nobody(shelf: Shelf, sw: str) -> None:
    shelf.evaluated(shelf.readout(seed=1))
    for move in (lambda: shelf.registry.canary(sw, 5, 0.1), lambda: shelf.registry.shadow(sw, 5)):
        with pytest.raises(WrongStanding, match="for another readout than `readout@1`"):
            move()


def test_without_a_readout_there_is_nothing_to_shadow_with(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout())
    with pytest.raises(WrongStanding, match="`recal promote readout`"):
        shelf.registry.shadow(shelf.model_of("sw"), 1)


def test_a_revoked_version_never_decides_again_whatever_the_reason(shelf: Shelf, sw: str) -> None:
    shelf.registry.revoke(sw, 2, "mislabelled examples")
    for move in (
        lambda: shelf.registry.promote(sw, 2, force_reason="I insist"),
        lambda: shelf.registry.canary(sw, 2, 0.1, force_reason="I insist"),
        lambda: shelf.registry.shadow(sw, 2),
        lambda: shelf.registry.promote(sw, 2, dry_run=True),
    ):
        with pytest.raises(VersionRevoked, match="revoked \\(mislabelled examples\\)"):
            move()
    with pytest.raises(VersionRevoked, match="was revoked before"):
        shelf.registry.revoke(sw, 2, "again")
    assert standing(shelf, sw)[0] == {"champion": 1}


def test_what_carries_an_alias_is_not_revoked_and_the_way_there_is_told(
    shelf: Shelf, sw: str
) -> None:
    shelf.registry.canary(sw, 2, 0.1)
    shelf.registry.shadow(sw, 3)
    ways = {1: "`recal rollback sw`", 2: "`recal canary sw --off`", 3: "`recal shadow sw --off`"}
    for version, way in ways.items():
        with pytest.raises(WrongStanding, match=way):
            shelf.registry.revoke(sw, version, "a test")
        assert shelf.registry.version(sw, version).revoked is None


def test_by_force_a_version_is_revoked_where_it_stands(shelf: Shelf, sw: str) -> None:
    shelf.registry.canary(sw, 2, 0.1)
    shelf.registry.shadow(sw, 3)
    for version in (1, 2, 3):
        shelf.registry.revoke(sw, version, "all of them", force=True)
    # the champion's alias stays, so that it is seen
    assert standing(shelf, sw) == ({"champion": 1}, None)
    assert shelf.registry.version(sw, 1).revoked == "all of them"


def test_a_revocation_needs_a_reason(shelf: Shelf, sw: str) -> None:
    with pytest.raises(ValueError, match="needs `--reason`"):
        shelf.registry.revoke(sw, 2, "  ")


def test_an_unknown_version_is_named(shelf: Shelf, sw: str) -> None:
    with pytest.raises(UnknownVersion, match="`readout@9` is not registered"):
        shelf.registry.promote(shelf.readout_model, 9)
    with pytest.raises(UnknownVersion, match="`sw@9` is not registered"):
        shelf.registry.canary(sw, 9, 0.1)
    shelf.calibration(shelf.readout(), "am")
    with pytest.raises(UnknownVersion, match="no champion"):
        shelf.registry.rollback(shelf.model_of("am"))
