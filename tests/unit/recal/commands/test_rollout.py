"""Who decides for which traffic, said before and after: in plain words and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from recal import exits
from services.readout.bundle import Thresholds
from tests.unit.recal.commands.shelved import Desk


@pytest.fixture
def live(desk: Desk) -> Desk:
    """sw@1 serves; sw@2 is as good, sw@3 nobody evaluated."""
    shelf = desk.shelf
    readout = shelf.readout()
    shelf.evaluated(readout, thresholds=Thresholds(0.31, -0.69), threshold=0.31)
    shelf.evaluated(readout, thresholds=Thresholds(0.44, None), threshold=0.44, k=8)
    shelf.calibration(readout, thresholds=Thresholds(0.1, 0.0))
    shelf.registry.promote(shelf.readout_model, 1)
    shelf.registry.promote(shelf.model_of("sw"), 1)
    return desk


def test_a_promotion_says_which_requests_move_and_what_differs(live: Desk) -> None:
    asked = live.said("promote", "sw@2", "--dry-run")
    assert asked == [
        "sw: 100 % of requests in `sw` move from sw@1 to sw@2",
        "sw@2: steers from 0.31 → 0.44; releases up to -0.69 → nothing; estimator midpoint; "
        "k 4 → 8; fewer prompts are steered",
        "dry run: nothing was written",
    ]
    assert live.said("promote", "sw", "--version", 2) == asked[:2]
    assert live.said("promote", "sw@2") == ["sw: nothing changes; sw@2 is it already"]


def test_what_would_be_refused_is_told_by_a_dry_run_that_fails(live: Desk) -> None:
    done = live.run("promote", "sw@3", "--dry-run")
    assert done.exit_code == exits.FAILED_CHECK
    *_, told = done.stdout.splitlines()
    assert told.startswith("would be refused: evaluation: none is stored with it")
    assert "evaluation: none is stored" in live.error("promote", "sw@3")
    forced = live.said("promote", "sw@3", "--force", "--reason", "the old one is broken")
    assert forced[2].startswith("overruled: evaluation: none is stored")


def test_force_without_a_reason_is_an_error(live: Desk) -> None:
    assert "`--force` needs `--reason`" in live.error("promote", "sw@3", "--force")


def test_without_a_version_a_promotion_takes_the_challenger_else_the_newest(live: Desk) -> None:
    assert live.run("promote", "sw", "--dry-run").stdout.startswith("sw: 100 % of requests in `sw`")
    assert "to sw@3" in live.run("promote", "sw", "--dry-run").stdout
    live.said("canary", "sw@2", "--share", "0.1")
    assert live.said("promote", "sw")[::2] == [
        "sw: the 90 % of requests in `sw` that sw@1 decides move to sw@2, which then decides all",
        "sw@2 is no longer challenger",
    ]


def test_a_canary_says_its_share_and_where_it_goes_back_to(live: Desk) -> None:
    assert live.said("canary", "sw@2", "--share", "0.125")[0] == (
        "sw: 12.5 % of requests in `sw` move from sw@1 to sw@2, by a stable hash"
    )
    assert live.said("canary", "sw@2", "--share", "0.5")[0] == (
        "sw: the share of requests in `sw` that sw@2 decides beside sw@1 goes from 12.5 % to 50 %"
    )
    told = live.json("canary", "sw", "--off")
    assert told["summary"] == [
        "sw: the 50 % of requests in `sw` that sw@2 decides move back to sw@1"
    ]
    assert (told["command"], told["from"], told["to"]) == ("canary", "sw@2", None)


def test_a_promotion_beside_a_canary_says_that_it_goes_on(live: Desk) -> None:
    live.said("canary", "sw@2", "--share", "0.25")
    (first, *_) = live.said("promote", "sw@3", "--force", "--reason", "a test")
    assert first == (
        "sw: 75 % of requests in `sw` move from sw@1 to sw@3; sw@2 keeps its 25 % as a canary"
    )


@pytest.mark.parametrize("words", [[], ["--share", "0.1", "--off"], ["--off", "--version", "2"]])
def test_a_canary_is_given_a_share_or_ended(live: Desk, words: list[str]) -> None:
    assert "give `--share 0.1`" in live.error("canary", "sw", *words)


def test_a_shadow_moves_no_request(live: Desk) -> None:
    first, *_ = live.said("shadow", "sw")
    assert first == (
        "sw: no request moves; sw@3 is scored and counted on all requests in `sw` beside sw@1, "
        "and never acts"
    )
    assert live.said("canary", "sw", "--share", "0.1", "--dry-run", "--version", 2)[-1] == (
        "dry run: nothing was written"
    )
    assert live.said("shadow", "sw", "--off") == ["sw: no request moves; sw@3 is scored no more"]


def test_the_first_version_of_a_language_is_told_apart(live: Desk) -> None:
    live.shelf.evaluated(live.shelf.readout(), "am")
    first, *_ = live.said("shadow", "am")
    assert "though no version decides yet" in first
    assert live.said("promote", "am")[0] == (
        "am: 100 % of requests in `am`, for which there is no calibration now, move to am@1"
    )


def test_a_rollback_says_where_it_goes(live: Desk) -> None:
    live.said("promote", "sw@2")
    told = live.json("rollback", "sw", "--reason", "drift")
    assert (told["from"], told["to"], told["refused"]) == ("sw@2", "sw@1", False)
    assert told["summary"][0] == "sw: 100 % of requests in `sw` move from sw@2 to sw@1"
    assert "more prompts are steered" in told["summary"][1]


def test_a_readout_moves_all_languages(live: Desk) -> None:
    live.shelf.readout(seed=1)
    first, second, note = live.said("promote", "readout")
    assert first == "readout: 100 % of requests in all languages move from readout@1 to readout@2"
    reads = "block 2 (last) and block 1 (mean)"
    assert second == (
        f"readout@2: reads {reads} → {reads}; steers at block 2 → 2 by add → add; made of 2 → 2 "
        "languages"
    )
    assert note.startswith("note: sw@1 belong to another readout")


def test_a_revocation_is_told_and_shown(live: Desk) -> None:
    assert "names no version by its number; write `sw@7`" in live.error("revoke", "sw")
    told = live.json("revoke", "sw@3", "--reason", "mislabelled examples")
    assert (told["version"], told["reason"]) == ("sw@3", "mislabelled examples")
    assert told["summary"] == [
        "sw: no request moves",
        "sw@3 can never decide again, wherever it is kept: mislabelled examples",
    ]
    assert "first `recal rollback sw`" in live.error("revoke", "sw@1", "--reason", "x")
    by_force = live.said("revoke", "sw@1", "--reason", "x", "--force", "--dry-run")
    assert "are decided by the policy's row for no calibration" in by_force[0]
    assert live.json("show", "sw@3")["version"]["revoked"] == "mislabelled examples"
    assert "must not decide again" in live.error("promote", "sw@3", "--force", "--reason", "x")


def test_what_cannot_be_loaded_is_not_moved_to(live: Desk) -> None:
    uri = live.shelf.registry.tracking_uri
    client = MlflowClient(uri, uri)
    run = client.get_model_version(live.shelf.model_of("sw"), "2").run_id
    root = client.get_run(run).info.artifact_uri.removeprefix("file://")
    (Path(root) / "artefact" / "calibration.json").write_text("{}")
    assert "does not match its manifest" in live.error("promote", "sw@2")
    assert live.json("list")["models"][1]["champion"] == "sw@1"


def test_a_version_is_named_once(live: Desk) -> None:
    assert "give one" in live.error("promote", "sw@1", "--version", 2)
    assert "names a version, and none can be chosen" in live.error("rollback", "sw@1")
