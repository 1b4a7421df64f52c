"""`recal keys new`, `recal sign` and `recal verify` on small artefacts on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recal.errors import ServiceError
from services.readout.artefact import load_readout
from services.readout.manifest import SIGNATURE
from services.readout.signature import PRIVATE_KEY, PUBLIC_KEY
from tests.unit.recal.commands.collecting import recal
from tests.unit.services.readout.factories import saved_calibration, saved_readout


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """A readout, a calibration, and a pair of keys."""
    readout = saved_readout(tmp_path / "var" / "readout")
    saved_calibration(tmp_path / "var" / "calibrations" / "sw", readout, "sw")
    assert recal("keys", "new", "--out", tmp_path / "keys").exit_code == 0
    return tmp_path / "var"


def key(var: Path, name: str) -> Path:
    return var.with_name("keys") / name


def test_a_new_pair_is_told_with_what_each_file_is_for(tmp_path: Path) -> None:
    done = recal("keys", "new", "--out", tmp_path / "k")
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert f"{PRIVATE_KEY} signs" in said
    assert f"{PUBLIC_KEY} verifies" in said
    again = recal("keys", "new", "--out", tmp_path / "k")
    assert isinstance(again.exception, ValueError)


def test_a_set_is_signed_and_then_found_signed(var: Path) -> None:
    done = recal("sign", var, "--key", key(var, PRIVATE_KEY), "--json")
    signed = json.loads(done.output)
    assert [Path(each["path"]).name for each in signed["signed"]] == ["sw", "readout"]
    found = recal("verify", var, "--key", key(var, PUBLIC_KEY), "--json")
    told = json.loads(found.output)
    assert (found.exit_code, told["trusted_keys"]) == (0, [signed["key"]])
    assert {each["signed_by"] for each in told["artefacts"]} == {signed["key"]}


def test_an_unsigned_artefact_ends_a_verification_with_code_1_and_is_named(var: Path) -> None:
    recal("sign", var / "readout", "--key", key(var, PRIVATE_KEY))
    found = recal("verify", var, "--key", key(var, PUBLIC_KEY))
    assert found.exit_code == 1
    lines = found.output.splitlines()
    assert any(line.startswith("✗") and "sw" in line and "not signed" in line for line in lines)
    assert any(line.startswith("✓") and "signed by" in line for line in lines)


def test_without_a_trusted_key_files_and_digests_are_looked_at_alone(var: Path) -> None:
    found = recal("verify", var)
    assert (found.exit_code, found.output.count("no key is trusted")) == (0, 2)
    (var / "readout" / "readout.json").write_bytes(b"{}")
    found = recal("verify", var)
    assert (found.exit_code, "does not match its manifest" in found.output) == (1, True)


def test_the_settings_trusted_keys_are_taken(var: Path) -> None:
    settings = var / "settings.yaml"
    settings.write_text(f"registry: {{trusted_keys: [{key(var, PUBLIC_KEY)}]}}")
    found = recal("verify", var / "readout", "--config", settings)
    assert (found.exit_code, "not signed" in found.output) == (1, True)


def test_what_does_not_load_is_not_signed_and_nothing_of_its_set_is(var: Path) -> None:
    (var / "readout" / "readout.json").write_bytes(b"{}")
    done = recal("sign", var, "--key", key(var, PRIVATE_KEY))
    assert isinstance(done.exception, ServiceError)
    assert list(var.rglob(SIGNATURE)) == []


def test_a_folder_without_artefacts_is_told_what_to_give(var: Path) -> None:
    done = recal("verify", var.with_name("keys"))
    assert "holds no artefact" in str(done.exception)


def test_a_signed_artefact_keeps_its_digest(var: Path) -> None:
    before = load_readout(var / "readout").digest
    recal("sign", var / "readout", "--key", key(var, PRIVATE_KEY))
    assert load_readout(var / "readout").digest == before
