from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from mlflow import MlflowClient

from recal.registry import Registry
from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.mlflow_source import MlflowSource
from services.readout.scores import score_all
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import D_MODEL, an_own_readout
from tests.unit.services.readout.shelf import Shelf


def client_of(shelf: Shelf) -> MlflowClient:
    return MlflowClient(shelf.registry.tracking_uri, shelf.registry.tracking_uri)


def registered_file(shelf: Shelf, model: str, version: int, name: str) -> Path:
    """The file as the registry's artefact store holds it."""
    run = client_of(shelf).get_run(client_of(shelf).get_model_version(model, str(version)).run_id)
    return Path(urlparse(run.info.artifact_uri).path) / "artefact" / name


def test_what_is_promoted_is_fetched_under_the_registrys_versions(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout, "am")
    shelf.calibration(readout, "sw")
    shelf.calibration(readout, "sw", threshold=0.5)
    shelf.promote(1, am=1, sw=2)
    bundle = shelf.source(shelf.directory / "cache").fetch()
    assert bundle.readout.version == "readout@1"
    assert bundle.readout.digest == readout.digest
    versions = {language: c.version for language, c in bundle.calibrations.items()}
    assert versions == {"am": "am@1", "sw": "sw@2"}


def test_an_own_readout_comes_back_through_the_registry_and_again_without_it(shelf: Shelf) -> None:
    own = an_own_readout()
    shelf.calibration(shelf.readout(), own=own)
    shelf.promote(1, sw=1)
    (registered,) = shelf.registry.list_versions(shelf.model_of("sw"))
    assert registered.tags["own_readout"] == "translate_train"
    source = shelf.source(shelf.directory / "cache")
    fetched = source.fetch()
    source.remember(fetched)
    rows = torch.randn(3, 2, D_MODEL, generator=torch.Generator().manual_seed(2))
    for bundle in (fetched, source.last_good()):
        scored = [scores.under(bundle.calibrations["sw"]) for scores in score_all(bundle, rows)]
        assert scored == own.score(rows[:, 1:]).tolist()


def test_weights_that_were_changed_in_the_registry_are_refused(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout(), own=an_own_readout())
    shelf.promote(1, sw=1)
    weights = registered_file(shelf, shelf.model_of("sw"), 1, "calibration.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    bundle = shelf.source(shelf.directory / "cache").fetch()
    assert bundle.calibrations == {}
    assert "does not match its manifest" in bundle.refused["sw"]


def test_a_calibration_without_the_alias_is_not_served(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout())
    shelf.promote(1)
    assert shelf.source(shelf.directory / "cache").fetch().calibrations == {}


def test_a_backbone_without_a_promoted_readout_is_refused(shelf: Shelf) -> None:
    shelf.readout()
    with pytest.raises(ArtefactRefused, match=r"no readout of .* has the alias `champion`"):
        shelf.source(shelf.directory / "cache").fetch()


def test_models_of_another_backbone_are_not_looked_at(shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(shelf.registry, tmp_path / "other", shelf.backbone.name + "-large")
    shelf.readout()
    other.calibration(other.readout())
    shelf.promote(1)
    other.promote(1, sw=1)
    assert shelf.source(tmp_path / "cache").fetch().calibrations == {}


def test_the_fingerprint_moves_with_an_alias_and_not_with_a_registration(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.promote(1, sw=1)
    source = shelf.source(shelf.directory / "cache")
    before = source.fingerprint()
    shelf.calibration(readout)
    assert source.fingerprint() == before
    shelf.promote(sw=2)
    assert source.fingerprint() != before


def test_a_version_is_downloaded_once(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout())
    shelf.promote(1, sw=1)
    source = shelf.source(shelf.directory / "cache")
    source.fetch()
    shutil.rmtree(registered_file(shelf, shelf.model_of("sw"), 1, "").parent)
    assert source.fetch().calibrations["sw"].version == "sw@1"


def test_a_decayed_local_copy_is_fetched_again(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.promote(1)
    cache = shelf.directory / "cache"
    source = shelf.source(cache)
    source.fetch()
    copy = cache / "artefacts" / readout.digest / "readout.json"
    copy.write_bytes(b"{}")
    assert source.fetch().readout.digest == readout.digest
    assert copy.read_bytes() != b"{}"


def test_an_artefact_that_was_changed_in_the_registry_is_refused_for_its_language_alone(
    shelf: Shelf,
) -> None:
    readout = shelf.readout()
    shelf.calibration(readout, "am")
    shelf.calibration(readout, "sw")
    shelf.promote(1, am=1, sw=1)
    registered_file(shelf, shelf.model_of("sw"), 1, "calibration.json").write_bytes(b"{}")
    bundle = shelf.source(shelf.directory / "cache").fetch()
    assert sorted(bundle.calibrations) == ["am"]
    assert "`sw@1` does not match its manifest" in bundle.refused["sw"]


def test_an_artefact_that_was_exchanged_for_a_sound_one_is_refused_by_its_digest(
    shelf: Shelf,
) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.calibration(readout, threshold=-9.0)
    shelf.promote(1, sw=1)
    for name in ("calibration.json", "manifest.json"):
        shutil.copy(
            registered_file(shelf, shelf.model_of("sw"), 2, name),
            registered_file(shelf, shelf.model_of("sw"), 1, name),
        )
    assert "was expected" in shelf.source(shelf.directory / "cache").fetch().refused["sw"]


def test_a_missing_artefact_is_refused_for_its_language_alone(shelf: Shelf) -> None:
    shelf.calibration(shelf.readout())
    shelf.promote(1, sw=1)
    shutil.rmtree(registered_file(shelf, shelf.model_of("sw"), 1, "").parent)
    refused = shelf.source(shelf.directory / "cache").fetch().refused
    assert "does not hold `sw@1` completely" in refused["sw"]


@pytest.mark.parametrize(
    ("tag", "why"),
    [("", "not a sha256"), ("../../etc", "not a sha256"), ("0" * 64, "was expected")],
)
def test_a_digest_tag_that_is_not_the_artefacts_is_refused(
    shelf: Shelf, tag: str, why: str
) -> None:
    shelf.calibration(shelf.readout())
    shelf.promote(1, sw=1)
    client_of(shelf).set_model_version_tag(shelf.model_of("sw"), "1", "digest", tag)
    assert why in shelf.source(shelf.directory / "cache").fetch().refused["sw"]


def test_the_digest_of_another_backbone_is_refused(shelf: Shelf) -> None:
    shelf.readout()
    shelf.promote(1)
    running = replace(shelf.backbone, weights_digest="9" * 64)
    with pytest.raises(ArtefactRefused, match="`readout@1` was made for another backbone"):
        shelf.source(shelf.directory / "cache", backbone=running).fetch()


def test_an_absent_registry_is_unreachable(tmp_path: Path, registry: Registry) -> None:
    source = MlflowSource("http://127.0.0.1:1", "a/b", tmp_path)
    with pytest.raises(RegistryUnreachable, match=r"does not answer.*MLFLOW_TRACKING_URI"):
        source.fingerprint()
    with pytest.raises(RegistryUnreachable, match="no last good set is kept"):
        source.last_good()


def test_the_last_good_set_outlives_the_process_and_the_registry(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.promote(1, sw=1)
    cache = shelf.directory / "cache"
    source = shelf.source(cache)
    source.remember(source.fetch())
    away = MlflowSource("http://127.0.0.1:1", shelf.backbone.name, cache, backbone=shelf.backbone)
    bundle = away.last_good()
    assert (bundle.readout.version, bundle.calibrations["sw"].version) == ("readout@1", "sw@1")


def test_a_last_good_set_of_another_backbone_is_refused(shelf: Shelf) -> None:
    shelf.readout()
    shelf.promote(1)
    cache = shelf.directory / "cache"
    source = shelf.source(cache)
    source.remember(source.fetch())
    with pytest.raises(ArtefactRefused, match="another backbone"):
        shelf.source(cache, backbone=replace(shelf.backbone, weights_digest="9" * 64)).last_good()


def test_a_corrupt_list_of_the_last_good_set_is_refused(shelf: Shelf) -> None:
    shelf.readout()
    shelf.promote(1)
    cache = shelf.directory / "cache"
    source = shelf.source(cache)
    source.remember(source.fetch())
    (kept,) = (cache / "last_good").iterdir()
    kept.write_text(json.dumps({"readout": {"version": "readout@1", "digest": "../x"}}))
    with pytest.raises(ArtefactRefused, match="the last good set"):
        source.last_good()


async def test_a_new_readout_with_its_calibrations_first_moves_every_language_at_once(
    shelf: Shelf,
) -> None:
    old = shelf.readout()
    shelf.calibration(old)
    shelf.promote(1, sw=1)
    store = BundleStore(shelf.source(shelf.directory / "cache"), PrometheusMeter())
    await store.refresh()
    new = shelf.readout(seed=1)
    shelf.calibration(new)
    shelf.promote(sw=2)
    assert await store.refresh() == "refused"
    assert store.current.calibrations["sw"].version == "sw@1"
    shelf.promote(2)
    assert await store.refresh() == "swapped"
    assert store.current.calibrations["sw"].version == "sw@2"
    assert store.readout("readout@1").digest == old.digest


async def test_a_rollback_is_served(shelf: Shelf) -> None:
    readout = shelf.readout()
    shelf.calibration(readout)
    shelf.calibration(readout, threshold=0.5)
    shelf.promote(1, sw=1)
    shelf.promote(sw=2)
    store = BundleStore(shelf.source(shelf.directory / "cache"), PrometheusMeter())
    await store.refresh()
    shelf.registry.rollback(shelf.model_of("sw"))
    assert await store.refresh() == "swapped"
    assert store.current.calibrations["sw"].version == "sw@1"
