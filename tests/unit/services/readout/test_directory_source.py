from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.bundle import Readout
from services.readout.directory_source import DirectorySource
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import BACKBONE, saved_calibration, saved_readout


@pytest.fixture
def readout(tmp_path: Path) -> Readout:
    saved = saved_readout(tmp_path / "readout")
    for language in ("am", "sw"):
        saved_calibration(tmp_path / "calibrations" / language, saved, language)
    return saved


def test_a_directory_is_a_bundle(readout: Readout, tmp_path: Path) -> None:
    bundle = DirectorySource(tmp_path, backbone=BACKBONE).fetch()
    assert bundle.readout.digest == readout.digest
    assert sorted(bundle.calibrations) == ["am", "sw"]
    assert bundle.calibrations["sw"].version.startswith("sw@")


def test_a_missing_directory_is_an_unreachable_registry(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnreachable, match="is not there"):
        DirectorySource(tmp_path / "nowhere").fingerprint()


def test_a_directory_without_a_readout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused):
        DirectorySource(tmp_path).fetch()


def test_the_fingerprint_changes_with_any_file_and_only_then(
    readout: Readout, tmp_path: Path
) -> None:
    source = DirectorySource(tmp_path)
    before = source.fingerprint()
    assert source.fingerprint() == before
    saved_calibration(tmp_path / "calibrations" / "sw", readout, "sw", threshold=0.5)
    assert source.fingerprint() != before


def test_a_corrupt_calibration_is_named_and_takes_down_no_other(
    readout: Readout, tmp_path: Path
) -> None:
    (tmp_path / "calibrations" / "sw" / "calibration.json").write_bytes(b"{}")
    bundle = DirectorySource(tmp_path).fetch()
    assert sorted(bundle.calibrations) == ["am"]
    assert "does not match its manifest" in bundle.refused["sw"]


def test_a_calibration_under_another_language_is_refused(readout: Readout, tmp_path: Path) -> None:
    calibrations = tmp_path / "calibrations"
    shutil.copytree(calibrations / "sw", calibrations / "my")
    assert "is of language `sw`" in DirectorySource(tmp_path).fetch().refused["my"]


def test_a_calibration_of_another_readout_is_refused(readout: Readout, tmp_path: Path) -> None:
    other = saved_readout(tmp_path / "other", seed=1)
    saved_calibration(tmp_path / "calibrations" / "sw", other, "sw")
    refused = DirectorySource(tmp_path).fetch().refused
    assert "belongs to the readout" in refused["sw"]
    assert "am" not in refused


def test_what_is_being_written_is_not_looked_at(readout: Readout, tmp_path: Path) -> None:
    (tmp_path / "calibrations" / ".sw.abc").mkdir()
    assert DirectorySource(tmp_path).fetch().refused == {}


def test_the_directory_itself_may_be_a_link(readout: Readout, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(tmp_path)
    assert DirectorySource(tmp_path / "current").fetch().readout.digest == readout.digest


async def test_a_store_over_a_directory_keeps_the_last_good_of_a_corrupt_language(
    readout: Readout, tmp_path: Path
) -> None:
    store = BundleStore(DirectorySource(tmp_path), PrometheusMeter())
    assert await store.refresh() == "swapped"
    good = store.current.calibrations["sw"]
    (tmp_path / "calibrations" / "sw" / "calibration.json").write_bytes(b"{}")
    saved_calibration(tmp_path / "calibrations" / "am", readout, "am", threshold=0.5)
    assert await store.refresh() == "refused"
    assert store.current.calibrations["sw"] is good
    assert store.current.calibrations["am"].threshold == 0.5
