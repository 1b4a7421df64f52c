"""Artefacts of every earlier schema version, as earlier builds wrote them, in the present one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recal.migrate import MIGRATED_FROM, MIGRATED_FROM_SCHEMA, migrate, plan
from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout
from services.readout.bundle import Bundle
from services.readout.directory_source import DirectorySource
from services.readout.manifest import MANIFEST
from services.readout.scores import score_all
from services.readout.signature import PRIVATE_KEY, PUBLIC_KEY, new_keys, read_private_key, sign
from tests.unit.recal.commands.collecting import recal
from tests.unit.services.readout import factories
from tests.unit.services.readout.factories import BACKBONE, saved_calibration, saved_readout
from tests.unit.services.readout.spoilt_content import vouch

KEPT = Path(factories.__file__).parent
"""Under it lie readouts and calibrations that earlier builds saved, by schema version."""
EVERY = ("v1_first", "v1", "v2", "v3")
OLD = ("v1_first", "v1")


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A set as `DirectorySource` reads it, of the schema that the test names."""
    kept = KEPT / request.param
    shutil.copytree(kept / "readout", tmp_path / "set" / "readout")
    shutil.copytree(kept / "sw", tmp_path / "set" / "calibrations" / "sw")
    return tmp_path / "set"


def served(root: Path) -> Bundle:
    bundle = DirectorySource(root, backbone=BACKBONE).fetch()
    assert not bundle.refused
    return bundle


def schemas(root: Path) -> list[int]:
    manifests = sorted(root.rglob(MANIFEST))
    return [json.loads(path.read_bytes())["schema_version"] for path in manifests]


def decided(bundle: Bundle) -> tuple[list[float], float, float | None]:
    """Scores of some residuals, and what they are held against."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, len(bundle.readout.places), 8, generator=generator)
    calibration = bundle.calibrations["sw"]
    scores = [each.under(calibration) for each in score_all(bundle, rows)]
    return scores, calibration.thresholds.steer, calibration.thresholds.release


@pytest.mark.parametrize("old", EVERY, indirect=True)
def test_what_every_earlier_build_saved_loads_and_belongs_together(old: Path) -> None:
    assert list(served(old).calibrations) == ["sw"]


@pytest.mark.parametrize("old", OLD, indirect=True)
def test_a_migrated_set_decides_as_before_and_says_what_it_was(old: Path, tmp_path: Path) -> None:
    before = served(old)
    migrate(plan(old), tmp_path / "new")
    after = served(tmp_path / "new")
    assert decided(after) == decided(before)
    assert (schemas(old), schemas(tmp_path / "new")) == ([1, 1], [2, 2])
    for was, now in (
        (before.readout, after.readout),
        (before.calibrations["sw"], after.calibrations["sw"]),
    ):
        assert now.digest != was.digest
        assert now.provenance == {
            **was.provenance,
            MIGRATED_FROM: was.digest,
            MIGRATED_FROM_SCHEMA: "1",
        }
    assert after.readout.steering.scope is before.readout.steering.scope


@pytest.mark.parametrize("old", OLD, indirect=True)
def test_a_set_is_migrated_in_its_own_place_and_again_changes_nothing(old: Path) -> None:
    planned = plan(old)
    migrate(planned)
    assert served(old).readout.digest == planned.steps[-1].to_digest
    again = plan(old)
    assert (again.steps, len(again.kept)) == ((), 2)


@pytest.mark.parametrize("old", OLD, indirect=True)
def test_a_migration_that_was_stopped_goes_on_where_it_was(old: Path) -> None:
    planned = plan(old)
    migrate(replace(planned, steps=planned.steps[:1]))  # the calibration; then the machine died
    rest = plan(old)
    assert [step.path.name for step in rest.steps] == ["readout"]
    migrate(rest)
    assert served(old).readout.digest == planned.steps[-1].to_digest


@pytest.mark.parametrize("old", ["v2", "v3"], indirect=True)
def test_what_is_of_the_present_schema_stays_byte_for_byte(old: Path, tmp_path: Path) -> None:
    planned = plan(old)
    assert planned.steps == ()
    migrate(planned, tmp_path / "new")
    for path in old.rglob("*.*"):
        assert (tmp_path / "new" / path.relative_to(old)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("old", ["v1"], indirect=True)
def test_other_readouts_and_their_calibrations_in_the_set_are_copied(
    old: Path, tmp_path: Path
) -> None:
    newer = saved_readout(old / "newer" / "readout")
    saved_calibration(old / "newer" / "calibrations" / "sw", newer, "sw")
    planned = plan(old)
    assert len(planned.kept) == 2
    migrate(planned, tmp_path / "new")
    assert served(tmp_path / "new" / "newer").readout.digest == newer.digest
    assert served(tmp_path / "new").readout.digest == planned.steps[-1].to_digest


def test_a_calibration_is_not_migrated_without_its_readout() -> None:
    with pytest.raises(ArtefactRefused, match="belongs to the readout 9a08378888dd….*holds both"):
        plan(KEPT / "v1" / "sw")


@pytest.mark.parametrize("old", ["v1"], indirect=True)
def test_a_place_that_is_taken_is_refused(old: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(ArtefactRefused, match="is there already"):
        migrate(plan(old), tmp_path / "new")


@pytest.mark.parametrize("old", ["v1"], indirect=True)
def test_a_migrated_artefact_has_lost_its_signature(old: Path, tmp_path: Path) -> None:
    new_keys(tmp_path)
    key = read_private_key(tmp_path / PRIVATE_KEY)
    sign(old / "readout", load_readout(old / "readout").digest, key)
    migrate(plan(old), tmp_path / "new")
    found = recal("verify", tmp_path / "new" / "readout", "--key", tmp_path / PUBLIC_KEY)
    assert (found.exit_code, "not signed" in found.output) == (1, True)


@pytest.mark.parametrize("name", ["readout.json", MANIFEST])
def test_a_schema_of_a_later_build_is_refused_in_words(name: str, tmp_path: Path) -> None:
    shutil.copytree(KEPT / "v2" / "readout", tmp_path / "readout")
    path = tmp_path / "readout" / name
    path.write_bytes(path.read_bytes().replace(b'"schema_version":2', b'"schema_version":9'))
    if name != MANIFEST:
        vouch(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match="another schema version.*install the build"):
        plan(tmp_path / "readout")


@pytest.mark.parametrize("old", ["v1"], indirect=True)
def test_a_dry_run_says_what_and_writes_nothing(old: Path) -> None:
    before = {path: path.read_bytes() for path in old.rglob("*.*")}
    done = recal("migrate", old, "--dry-run", "--json")
    told = json.loads(done.output)
    assert [Path(step["path"]).name for step in told["migrated"]] == ["sw", "readout"]
    assert {(step["from_schema"], step["to_schema"]) for step in told["migrated"]} == {(1, 2)}
    assert {path: path.read_bytes() for path in old.rglob("*.*")} == before
    recal("migrate", old, "--json")
    digests = [load_calibration(old / "calibrations" / "sw").digest, served(old).readout.digest]
    assert [step["to_digest"] for step in told["migrated"]] == digests


@pytest.mark.parametrize("old", ["v1", "v2"], indirect=True)
def test_it_is_told_in_words_what_was_done(old: Path, tmp_path: Path) -> None:
    done = recal("migrate", old, "--out", tmp_path / "new")
    assert done.exit_code == 0
    is_old = schemas(old) == [1, 1]
    assert ("schema 1 → 2" in done.output) is is_old
    assert ("everything is of the present schema" in done.output) is not is_old
