"""What `recal new-language` refuses before it loads a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.errors import UnknownVersion
from services.readout.signature import PUBLIC_KEY, new_keys
from tests.unit.recal.commands.shelved import Desk


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    file = tmp_path / "sw.yaml"
    file.write_text("language: sw\nharmful: [one]\nharmless: [two]\n")
    return file


def test_a_registry_without_a_readout_is_told_with_the_commands(desk: Desk, examples: Path) -> None:
    desk.shelf.readout()  # registered, and not promoted
    done = desk.run("new-language", "sw", "--examples", examples)
    assert isinstance(done.exception, UnknownVersion)
    assert "`recal promote readout` come first" in str(done.exception)
    assert [each["what"] for each in desk.json("list")["models"]] == ["readout"]


def test_servers_that_read_a_directory_would_never_see_it(
    desk: Desk, examples: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECAL_REGISTRY__SOURCE", "directory")
    monkeypatch.setenv("RECAL_REGISTRY__DIRECTORY", str(tmp_path))
    told = desk.error("new-language", "sw", "--examples", examples)
    assert "use `registry.source: mlflow`" in told


def test_what_nobody_signed_is_not_brought_where_signatures_are_required(
    desk: Desk, examples: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new_keys(tmp_path / "keys")
    monkeypatch.setenv("RECAL_REGISTRY__TRUSTED_KEYS", f'["{tmp_path / "keys" / PUBLIC_KEY}"]')
    told = desk.error("new-language", "sw", "--examples", examples)
    assert "only what a trusted key signed; give `--key`" in told


def test_a_judge_that_is_none_is_told_at_once(desk: Desk, examples: Path) -> None:
    told = desk.error("new-language", "sw", "--examples", examples, "--judge", "nobody")
    assert "nobody" in told
