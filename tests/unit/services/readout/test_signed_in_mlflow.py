"""Signatures on their way through the registry and the copies on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.registry import Registry
from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.artefact import save_readout
from services.readout.manifest import SIGNATURE
from services.readout.mlflow_source import MlflowSource
from services.readout.signature import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    new_keys,
    read_private_key,
    sign,
    trust_of,
)
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import a_readout
from tests.unit.services.readout.shelf import Shelf


@pytest.fixture
def shelf(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> Shelf:
    new_keys(tmp_path / "keys")
    return Shelf(registry, tmp_path, request.node.name)


def register(shelf: Shelf, seed: int, *, signed: bool) -> str:
    """Register a readout under a signature or none; its digest."""
    at = shelf.directory / f"readout-{seed}-{signed}"
    digest = save_readout(a_readout(seed, backbone=shelf.backbone), at).digest
    if signed:
        sign(at, digest, read_private_key(shelf.directory / "keys" / PRIVATE_KEY))
    shelf.registry.register_readout(at)
    return digest


def source(shelf: Shelf, uri: str = "") -> MlflowSource:
    """What a server reads that demands signatures."""
    return MlflowSource(
        uri or shelf.registry.tracking_uri,
        shelf.backbone.name,
        shelf.directory / "cache",
        backbone=shelf.backbone,
        trust=trust_of([shelf.directory / "keys" / PUBLIC_KEY]),
    )


async def test_an_unsigned_version_is_refused_and_the_signed_one_before_it_serves_on(
    shelf: Shelf,
) -> None:
    digest = register(shelf, 0, signed=True)
    register(shelf, 1, signed=False)
    newer = register(shelf, 1, signed=True)
    store = BundleStore(source(shelf), PrometheusMeter())
    served = []
    for version, outcome in ((1, "swapped"), (2, "refused"), (3, "swapped")):
        shelf.promote(version)
        assert await store.refresh() == outcome
        served.append((store.current.readout.version, store.current.readout.digest))
    assert served == [("readout@1", digest), ("readout@1", digest), ("readout@3", newer)]


def test_a_copy_on_disk_is_verified_again_at_every_load(shelf: Shelf) -> None:
    digest = register(shelf, 0, signed=True)
    shelf.promote(1)
    source(shelf).remember(source(shelf).fetch())
    kept = shelf.directory / "cache" / "artefacts" / digest / SIGNATURE
    away = source(shelf, "http://127.0.0.1:1")
    assert away.last_good().readout.digest == digest
    kept.unlink()
    with pytest.raises(ArtefactRefused, match="is not signed"):
        away.last_good()
    assert source(shelf).fetch().readout.digest == digest  # fetched again
    assert kept.is_file()
    with pytest.raises(RegistryUnreachable):
        away.fetch()


def test_a_copy_that_was_kept_before_signatures_were_required_does_not_serve(shelf: Shelf) -> None:
    register(shelf, 0, signed=False)
    shelf.promote(1)
    everybodys = shelf.source(shelf.directory / "cache")
    everybodys.remember(everybodys.fetch())
    with pytest.raises(ArtefactRefused, match="is not signed"):
        source(shelf).last_good()
    with pytest.raises(ArtefactRefused, match="is not signed"):
        source(shelf).fetch()
