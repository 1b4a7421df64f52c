"""Challengers, shadows and revocations as a real registry holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from recal.registry import Registry
from services.errors import ArtefactRefused
from services.readout.bundle import Bundle
from services.readout.mlflow_source import MlflowSource
from services.readout.naming import CANARY_SHARE_TAG, CHALLENGER, CHAMPION, REVOKED_TAG, SHADOW
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import an_own_readout
from tests.unit.services.readout.shelf import Shelf


class Rollout(Shelf):
    """A readout and three versions of Swahili: champion 1, challenger 2, shadow 3."""

    def __init__(self, registry: Registry, directory: Path, name: str) -> None:
        super().__init__(registry, directory, name)
        self.client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
        self.cache = directory / "cache"
        readout = self.readout()
        for number in (1, 2, 3):
            own = an_own_readout(number) if number == 3 else None
            self.calibration(readout, threshold=float(number), own=own)
        self.promote(1, sw=1)
        self.sw = self.model_of("sw")
        self.alias(CHALLENGER, 2)
        self.share("0.25")
        self.alias(SHADOW, 3)
        self.here = self.source(self.cache)

    def alias(self, alias: str, version: int) -> None:
        self.client.set_registered_model_alias(self.sw, alias, str(version))

    def share(self, share: str) -> None:
        self.client.set_registered_model_tag(self.sw, CANARY_SHARE_TAG, share)

    def revoke(self, version: int, why: str = "for a test", model: str = "") -> None:
        self.client.set_model_version_tag(model or self.sw, str(version), REVOKED_TAG, why)

    def away(self) -> MlflowSource:
        """A process that starts while the registry is away."""
        uri = "http://127.0.0.1:1"
        return MlflowSource(uri, self.backbone.name, self.cache, backbone=self.backbone)


@pytest.fixture
def rollout(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> Rollout:
    return Rollout(registry, tmp_path, request.node.name)


def versions(bundle: Bundle) -> dict[str, str]:
    """By role, of Swahili."""
    found = {CHAMPION: bundle.calibrations.get("sw"), SHADOW: bundle.shadows.get("sw")}
    challenger = bundle.challengers.get("sw")
    found[CHALLENGER] = challenger.calibration if challenger else None
    return {role: each.version for role, each in found.items() if each}


ALL = {CHAMPION: "sw@1", CHALLENGER: "sw@2", SHADOW: "sw@3"}


def test_all_three_aliases_are_fetched_with_the_share(rollout: Rollout) -> None:
    bundle = rollout.here.fetch()
    assert versions(bundle) == ALL
    assert bundle.challengers["sw"].share == 0.25
    assert bundle.shadows["sw"].own is not None
    assert (bundle.refused, bundle.refused_beside) == ({}, {})


def test_the_fingerprint_moves_with_everything_that_changes_who_decides(rollout: Rollout) -> None:
    seen = [rollout.here.fingerprint()]

    def moved() -> bool:
        seen.append(rollout.here.fingerprint())
        return seen[-1] not in seen[:-1]

    assert not moved()
    rollout.share("0.5")
    assert moved()
    rollout.alias(CHALLENGER, 3)
    assert moved()
    rollout.alias(SHADOW, 2)
    assert moved()
    rollout.client.delete_registered_model_alias(rollout.sw, SHADOW)
    assert moved()
    rollout.revoke(2)
    assert moved()
    rollout.client.delete_registered_model_alias(rollout.sw, CHALLENGER)
    assert moved()
    rollout.share("0.75")  # nobody's
    assert not moved()


@pytest.mark.parametrize("share", ["", "0", "-0.1", "1.5", "nan", "inf", "ten percent", "0,1"])
def test_a_share_that_is_none_stops_the_challenger_alone_and_is_named(
    rollout: Rollout, share: str
) -> None:
    rollout.share(share)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {CHAMPION: "sw@1", SHADOW: "sw@3"}
    (why,) = bundle.refused_beside.values()
    assert f"the tag `canary_share` of `{rollout.sw}` is {share!r}; give" in why


def test_a_challenger_without_a_share_decides_nothing(rollout: Rollout) -> None:
    rollout.client.delete_registered_model_tag(rollout.sw, CANARY_SHARE_TAG)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {CHAMPION: "sw@1", SHADOW: "sw@3"}
    assert "is not set; give" in bundle.refused_beside["challenger of sw"]


@pytest.mark.parametrize(("version", "role"), [(2, CHALLENGER), (3, SHADOW)])
def test_one_that_was_exchanged_stands_aside(rollout: Rollout, version: int, role: str) -> None:
    rollout.client.set_model_version_tag(rollout.sw, str(version), "digest", "0" * 64)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {each: name for each, name in ALL.items() if each != role}
    assert bundle.refused_beside.keys() == {f"{role} of sw"}


def test_one_of_another_readout_stands_aside(rollout: Rollout) -> None:
    other = rollout.readout(seed=1)
    rollout.calibration(other)
    rollout.alias(CHALLENGER, 4)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {CHAMPION: "sw@1", SHADOW: "sw@3"}
    assert "belongs to the readout" in bundle.refused_beside["challenger of sw"]


def test_a_shadow_may_come_before_the_first_champion(rollout: Rollout) -> None:
    rollout.client.delete_registered_model_alias(rollout.sw, CHAMPION)
    rollout.client.delete_registered_model_alias(rollout.sw, CHALLENGER)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {SHADOW: "sw@3"}
    assert bundle.refused == {}


@pytest.mark.parametrize(("version", "role"), [(1, CHAMPION), (2, CHALLENGER), (3, SHADOW)])
def test_a_revoked_version_is_refused_under_every_alias(
    rollout: Rollout, version: int, role: str
) -> None:
    rollout.here.fetch()  # all are on disk by now
    rollout.revoke(version)
    bundle = rollout.here.fetch()
    assert versions(bundle) == {each: name for each, name in ALL.items() if each != role}
    (why,) = [*bundle.refused.values(), *bundle.refused_beside.values()]
    assert f"`sw@{version}` is revoked (for a test); promote another version" in why


@pytest.mark.parametrize("how", ["the tag is deleted", "it is registered again"])
def test_a_revocation_that_was_seen_once_is_never_taken_back(rollout: Rollout, how: str) -> None:
    rollout.revoke(1)
    rollout.here.fingerprint()
    rollout.client.delete_model_version_tag(rollout.sw, "1", REVOKED_TAG)
    if how == "it is registered again":
        copy = rollout.cache / "artefacts"
        bundle = rollout.source(rollout.directory / "elsewhere").fetch()
        digest = bundle.calibrations["sw"].digest
        copy = rollout.directory / "elsewhere" / "artefacts" / digest
        again = rollout.registry.register_calibration(copy)
        rollout.alias(CHAMPION, again.version)
    for source in (rollout.here, rollout.source(rollout.cache)):
        assert "is revoked" in source.fetch().refused["sw"]


def test_the_last_good_set_comes_back_whole_without_the_registry(rollout: Rollout) -> None:
    rollout.here.remember(rollout.here.fetch())
    bundle = rollout.away().last_good()
    assert versions(bundle) == ALL
    assert bundle.challengers["sw"].share == 0.25


def test_a_last_good_set_of_champions_alone_is_what_older_builds_read(rollout: Rollout) -> None:
    for alias in (CHALLENGER, SHADOW):
        rollout.client.delete_registered_model_alias(rollout.sw, alias)
    rollout.here.remember(rollout.here.fetch())
    (kept,) = (rollout.cache / "last_good").iterdir()
    assert b"challengers" not in kept.read_bytes()
    assert b"shadows" not in kept.read_bytes()


@pytest.mark.parametrize(("version", "role"), [(1, CHAMPION), (2, CHALLENGER), (3, SHADOW)])
def test_what_was_revoked_does_not_come_back_from_disk(
    rollout: Rollout, version: int, role: str
) -> None:
    rollout.here.remember(rollout.here.fetch())
    rollout.revoke(version)
    rollout.here.fingerprint()  # all that this machine hears before the registry goes away
    bundle = rollout.away().last_good()
    assert versions(bundle) == {each: name for each, name in ALL.items() if each != role}


def test_a_revoked_readout_is_refused_here_and_from_disk(rollout: Rollout) -> None:
    rollout.here.remember(rollout.here.fetch())
    rollout.revoke(1, model=rollout.readout_model)
    with pytest.raises(ArtefactRefused, match="`readout@1` is revoked"):
        rollout.here.fetch()
    with pytest.raises(ArtefactRefused, match="`readout@1` is revoked"):
        rollout.away().last_good()


def test_a_revocation_of_another_backbone_is_none_of_ours(rollout: Rollout) -> None:
    other = Rollout(rollout.registry, rollout.directory / "other", rollout.backbone.name + "-2")
    other.revoke(1)
    assert rollout.here.fetch().refused == {}
    assert rollout.here.revoked() == {}


async def test_a_process_that_starts_without_its_registry_serves_the_rollout_as_it_was(
    rollout: Rollout,
) -> None:
    first = BundleStore(rollout.here, PrometheusMeter())
    await first.refresh()
    meter = PrometheusMeter()
    restarted = BundleStore(rollout.away(), meter, clock=iter(range(100)).__next__)
    assert await restarted.refresh() == "unreachable"
    assert versions(restarted.current) == ALL
    assert meter.registry.get_sample_value("recal_registry_age_seconds") == 1.0
    keys = [str(number) for number in range(40)]
    decided = [[store.current.deciding("sw", key) for key in keys] for store in (first, restarted)]
    assert [each and each.version for each in decided[0]] == [
        each and each.version for each in decided[1]
    ]


async def test_a_revoked_champion_is_gone_with_the_next_look(rollout: Rollout) -> None:
    store = BundleStore(rollout.here, PrometheusMeter())
    await store.refresh()
    rollout.revoke(1)
    assert await store.refresh() == "refused"
    assert versions(store.current) == {CHALLENGER: "sw@2", SHADOW: "sw@3"}
    rollout.alias(CHAMPION, 2)
    assert await store.refresh() == "swapped"
    assert versions(store.current) == {CHAMPION: "sw@2", SHADOW: "sw@3"}
