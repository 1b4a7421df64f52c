"""Signatures of registered versions: made before they are registered, or put beside them later."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import ArtefactRefused
from services.readout.artefact import save_readout
from services.readout.manifest import SIGNATURE
from services.readout.mlflow_source import MlflowSource
from services.readout.naming import SIGNED_BY_TAG
from services.readout.signature import PRIVATE_KEY, PUBLIC_KEY, new_keys, trust_of
from tests.unit.recal.commands.shelved import Desk
from tests.unit.services.readout.factories import a_readout


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    new_keys(tmp_path / "keys")
    return tmp_path / "keys"


def saved(desk: Desk) -> Path:
    at = desk.shelf.directory / "saved"
    save_readout(a_readout(backbone=desk.shelf.backbone), at)
    return at


def source(desk: Desk, keys: Path) -> MlflowSource:
    """A server that demands signatures."""
    return MlflowSource(
        desk.shelf.registry.tracking_uri,
        desk.shelf.backbone.name,
        desk.shelf.directory / "cache",
        backbone=desk.shelf.backbone,
        trust=trust_of([keys / PUBLIC_KEY]),
    )


def test_a_version_that_is_registered_with_a_key_is_signed_and_says_by_whom(
    desk: Desk, keys: Path
) -> None:
    made = desk.json("register", saved(desk), "--key", keys / PRIVATE_KEY)
    [signer] = trust_of([keys / PUBLIC_KEY]).keys
    assert made["tags"][SIGNED_BY_TAG] == signer
    desk.shelf.promote(1)
    assert source(desk, keys).fetch().readout.version == "readout@1"


def test_a_dry_run_signs_nothing_and_still_refuses_a_bad_key(desk: Desk, keys: Path) -> None:
    at = saved(desk)
    desk.said("register", at, "--key", keys / PRIVATE_KEY, "--dry-run")
    assert not (at / SIGNATURE).exists()
    (keys / PRIVATE_KEY).chmod(0o644)
    told = desk.error("register", at, "--key", keys / PRIVATE_KEY, "--dry-run")
    assert "chmod 600" in told


def test_an_unsigned_version_is_signed_in_its_place_and_then_served(desk: Desk, keys: Path) -> None:
    made = desk.json("register", saved(desk))
    assert SIGNED_BY_TAG not in made["tags"]
    desk.shelf.promote(1)
    with pytest.raises(ArtefactRefused, match="is not signed"):
        source(desk, keys).fetch()
    signed = desk.json("sign", "--registered", "readout@1", "--key", keys / PRIVATE_KEY)
    assert signed["signed"] == [{"path": "readout@1", "digest": made["digest"]}]
    bundle = source(desk, keys).fetch()
    assert (bundle.readout.version, bundle.readout.digest) == ("readout@1", made["digest"])
    shown = desk.shelf.registry.version(desk.shelf.readout_model, 1)
    assert shown.tags[SIGNED_BY_TAG] == signed["key"]


@pytest.mark.parametrize("words", [(), ("somewhere", "--registered", "readout@1")])
def test_either_a_folder_or_a_version_is_signed(
    words: tuple[str, ...], desk: Desk, keys: Path
) -> None:
    told = desk.error("sign", *words, "--key", keys / PRIVATE_KEY)
    assert "give a folder, or `--registered`" in told
