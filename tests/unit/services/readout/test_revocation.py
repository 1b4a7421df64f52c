"""What was seen revoked: remembered on disk, only ever growing, refused wherever it comes from."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import ArtefactRefused, NotReady
from services.readout.bundle import Bundle
from services.readout.canary import Challenger
from services.readout.revocation import Revocations, refuse_revoked, spared
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import a_bundle
from tests.unit.services.readout.sources import RevokingSource

BAD, WORSE = "1" * 64, "2" * 64


def test_what_was_seen_revoked_outlives_the_process_and_the_tag(tmp_path: Path) -> None:
    Revocations(tmp_path, "organism").add({BAD: "steers harmless prompts"})
    later = Revocations(tmp_path, "organism")
    later.add({})
    assert later.known() == {BAD: "steers harmless prompts"}
    later.add({WORSE: ""})
    assert Revocations(tmp_path, "organism").known().keys() == {BAD, WORSE}


def test_backbones_do_not_share_a_list(tmp_path: Path) -> None:
    Revocations(tmp_path, "organism").add({BAD: ""})
    assert Revocations(tmp_path, "other").known() == {}


def test_a_list_that_cannot_be_read_refuses_everything_and_says_the_way_out(tmp_path: Path) -> None:
    Revocations(tmp_path, "organism").add({BAD: ""})
    path = tmp_path / "revoked" / "organism.json"
    for broken in (b"{}", b"{", json.dumps({"revoked": {"x": ""}}).encode()):
        path.write_bytes(broken)
        with pytest.raises(ArtefactRefused, match=r"the list of revoked artefacts.*Restore `"):
            Revocations(tmp_path, "organism").known()
    path.unlink()
    assert Revocations(tmp_path, "organism").known() == {}


def test_where_the_disk_is_full_it_is_remembered_as_long_as_the_process_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "revoked").write_text("a file where the directory should be")
    revocations = Revocations(tmp_path, "organism")
    with caplog.at_level(logging.WARNING):
        revocations.add({BAD: ""})
    assert "was not written down" in caplog.text
    assert revocations.known() == {BAD: ""}


def test_a_refusal_says_what_why_and_what_to_do() -> None:
    with pytest.raises(ArtefactRefused, match=r"`sw@3` is revoked \(leaks\); promote another"):
        refuse_revoked("sw@3", BAD, {BAD: "leaks"})
    refuse_revoked("sw@3", WORSE, {BAD: "leaks"})


def test_a_bundle_is_spared_all_that_is_revoked_and_nothing_else() -> None:
    made = a_bundle(["am", "sw"])
    beside = [replace(made.calibrations["sw"], version=f"sw@{n}", digest=f"sw{n}") for n in (8, 9)]
    held = replace(made, challengers={"sw": Challenger(beside[0], 0.5)}, shadows={"sw": beside[1]})
    assert spared(held, {"another": ""}) is held
    assert spared(held, {held.readout.digest: ""}) is None
    for digest in ("am1", "sw1", "sw8", "sw9"):
        left = spared(held, {digest: ""})
        assert left is not None
        gone = {each.digest for each in held.loaded} - {each.digest for each in left.loaded}
        assert gone == {digest}


def store_of(source: RevokingSource) -> BundleStore:
    return BundleStore(source, PrometheusMeter())


async def test_a_revoked_champion_leaves_its_language_without_a_calibration() -> None:
    source = RevokingSource(a_bundle(["am", "sw"]))
    store = store_of(source)
    await store.refresh()
    source.revoke("sw1")
    source.bundle = replace(a_bundle(["am"]), refused={"sw": "`sw@1` is revoked"})
    assert await store.refresh() == "refused"
    assert store.current.calibrations.keys() == {"am"}


async def test_a_champion_revoked_before_it_was_seen_leaves_the_good_one_before_it() -> None:
    source = RevokingSource(a_bundle(["sw"]))
    store = store_of(source)
    await store.refresh()
    source.revoke("sw2")
    source.bundle = replace(a_bundle([]), refused={"sw": "`sw@2` is revoked"})
    assert await store.refresh() == "refused"
    assert store.current.calibrations["sw"].version == "sw@1"


async def test_what_is_revoked_goes_at_once_though_nothing_new_can_be_fetched() -> None:
    source = RevokingSource(a_bundle(["am", "sw"]))
    store = store_of(source)
    await store.refresh()
    taken = store.current
    source.revoke("sw1")
    source.bundle = ArtefactRefused("the readout's files are gone")
    assert await store.refresh() == "refused"
    assert store.current.calibrations.keys() == {"am"}
    assert taken.calibrations.keys() == {"am", "sw"}


@pytest.mark.parametrize("kept", [None, a_bundle(["sw"])])
async def test_without_its_readout_nothing_is_served(kept: Bundle | None) -> None:
    source = RevokingSource(a_bundle(["sw"]))
    store = store_of(source)
    await store.refresh()
    source.kept = kept
    source.revoke(a_bundle().readout.digest)
    source.bundle = ArtefactRefused("`readout@0` is revoked")
    assert await store.refresh() == "refused"
    assert not store.is_ready
    with pytest.raises(NotReady, match="`readout@0` is revoked"):
        _ = store.current
    source.bundle = a_bundle(["sw"], seed=4)
    assert await store.refresh() == "swapped"
    assert store.current.readout.version == "readout@4"


async def test_the_readout_before_goes_too_when_it_is_revoked() -> None:
    source = RevokingSource(a_bundle(["sw"], seed=1))
    store = store_of(source)
    await store.refresh()
    source.bundle = a_bundle(["sw"], seed=2)
    await store.refresh()
    assert store.readout("readout@1")
    source.revoke(a_bundle(seed=1).readout.digest)
    await store.refresh()
    assert store.current.readout.version == "readout@2"
    with pytest.raises(Exception, match="`readout@1` is not loaded"):
        store.readout("readout@1")


async def test_a_list_that_cannot_be_read_keeps_what_serves_and_is_named() -> None:
    source = RevokingSource(a_bundle(["sw"]))
    store = store_of(source)
    await store.refresh()
    source.unreadable = True
    source.bundle = a_bundle(["sw"], number=2)
    assert await store.refresh() == "refused"
    assert store.current.calibrations["sw"].version == "sw@1"


async def test_a_refused_challenger_swaps_its_champion_in_and_is_looked_at_again() -> None:
    source = RevokingSource(a_bundle(["sw"]))
    store = store_of(source)
    await store.refresh()
    good = a_bundle(["sw"], number=2)
    source.bundle = replace(good, refused_beside={"challenger of sw": "it was changed"})
    assert [await store.refresh() for _ in range(2)] == ["refused", "refused"]
    assert store.current.calibrations["sw"].version == "sw@2"
    assert source.fetches == 3
    source.heal(good)
    assert await store.refresh() == "unchanged"


async def test_a_challenger_that_the_last_good_champion_equals_stands_aside() -> None:
    source = RevokingSource(a_bundle(["sw"]))
    store = store_of(source)
    await store.refresh()
    before = store.current.calibrations["sw"]
    moved = a_bundle(["am"], number=2)
    source.bundle = replace(
        moved, refused={"sw": "corrupt"}, challengers={"sw": Challenger(before, 0.5)}
    )
    await store.refresh()
    versions = {language: each.version for language, each in store.current.calibrations.items()}
    assert versions == {"am": "am@2", "sw": "sw@1"}
    assert store.current.challengers == {}
