from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.errors import ArtefactRefused
from services.readout.artefact import (
    load_calibration,
    load_readout,
    save_calibration,
    save_readout,
)
from services.readout.bundle import Calibration, Readout
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.manifest import MANIFEST, canonical_json, seal, sha256
from services.readout.place import Place
from tests.unit.services.readout.factories import (
    BACKBONE,
    a_calibration,
    a_readout,
    an_own_readout,
    saved_calibration,
    saved_readout,
)
from tests.unit.services.readout.spoilt_content import vouch


def rewritten(directory: Path, name: str, change: Callable[[dict[str, object]], None]) -> None:
    """Change a JSON file and write a manifest that vouches for it, as an attacker would."""
    record = json.loads((directory / name).read_bytes())
    change(record)
    (directory / name).write_bytes(json.dumps(record).encode())
    vouch(directory)


def parts_with(**fields: object) -> tuple[ReadoutPart, ...]:
    """The parts of a readout, the second of which has other fields."""
    first, second = a_readout().parts
    return (first, replace(second, **fields))  # type: ignore[arg-type]


def test_a_readout_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = saved_readout(tmp_path / "readout")
    loaded = load_readout(tmp_path / "readout", backbone=BACKBONE)
    for mine, theirs in zip(loaded.parts, saved.parts, strict=True):
        assert torch.equal(mine.linear.weight, theirs.linear.weight)
        assert torch.equal(mine.basis, theirs.basis)
        assert (mine.place, mine.share, mine.rank) == (theirs.place, theirs.share, theirs.rank)
        assert mine.linear.bias == theirs.linear.bias
    assert torch.equal(loaded.steering.direction, saved.steering.direction)
    plain = ("places", "source_languages", "source_statistics", "histogram")
    assert all(getattr(loaded, name) == getattr(saved, name) for name in plain)
    assert (loaded.digest, loaded.version) == (saved.digest, f"readout@{saved.digest[:12]}")


def test_a_calibration_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = save_calibration(a_calibration(), tmp_path / "sw")
    assert load_calibration(tmp_path / "sw", version="sw@7") == replace(saved, version="sw@7")


def test_a_calibration_keeps_what_its_evidence_said_and_whether_its_bound_is_vacuous(
    tmp_path: Path,
) -> None:
    evidence = {"own_threshold": -1.5, "own_sd": 0.3, "source threshold": 0.1}
    calibration = replace(a_calibration(), evidence=evidence, vacuous=True)
    save_calibration(calibration, tmp_path / "sw")
    loaded = load_calibration(tmp_path / "sw")
    assert (loaded.evidence, loaded.vacuous) == (evidence, True)


def test_a_calibration_from_before_evidence_was_kept_still_loads(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    fields = json.loads((tmp_path / "sw" / "calibration.json").read_bytes())
    older = {k: v for k, v in fields.items() if k not in ("evidence", "vacuous")}
    (tmp_path / "sw" / "calibration.json").write_bytes(canonical_json(older))
    vouch(tmp_path / "sw")
    loaded = load_calibration(tmp_path / "sw")
    assert (loaded.evidence, loaded.vacuous) == ({}, False)


def test_an_artefact_names_itself_by_its_digest(tmp_path: Path) -> None:
    saved = save_calibration(a_calibration("zh-Hant"), tmp_path / "c")
    assert load_calibration(tmp_path / "c").version == f"zh-Hant@{saved.digest[:12]}"


def test_equal_content_gives_an_equal_digest_and_other_content_another(tmp_path: Path) -> None:
    first = saved_readout(tmp_path / "a")
    again = saved_readout(tmp_path / "b")
    other = saved_readout(tmp_path / "c", seed=1)
    assert first.digest == again.digest != other.digest
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_the_digest_is_the_sha256_of_the_manifest(tmp_path: Path) -> None:
    saved = saved_readout(tmp_path / "readout")
    assert saved.digest == sha256((tmp_path / "readout" / MANIFEST).read_bytes())


def test_saving_again_replaces_the_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    (tmp_path / "readout" / "stray.txt").write_text("x")
    newer = saved_readout(tmp_path / "readout", seed=1)
    assert load_readout(tmp_path / "readout").digest == newer.digest
    assert [path.name for path in tmp_path.iterdir()] == ["readout"]
    assert not (tmp_path / "readout" / "stray.txt").exists()


def test_a_save_that_fails_leaves_the_old_artefact(tmp_path: Path) -> None:
    saved = saved_readout(tmp_path / "readout")
    with pytest.raises(OSError, match="no/such/name"):
        seal(tmp_path / "readout", "readout", {"no/such/name": b""}, 2)
    assert load_readout(tmp_path / "readout").digest == saved.digest
    assert [path.name for path in tmp_path.iterdir()] == ["readout"]


def test_numbers_of_numpy_are_saved_as_plain_ones(tmp_path: Path) -> None:
    calibration = replace(
        a_calibration(), k=np.int64(4), posterior_sd=np.float32(0.5), metrics={"j": np.float64(1.0)}
    )
    save_calibration(calibration, tmp_path / "sw")
    assert load_calibration(tmp_path / "sw").posterior_sd == 0.5


@pytest.mark.parametrize(
    "broken",
    [
        {"metrics": {"auc": math.nan}},
        {"posterior_sd": -1.0},
        {"readout_digest": ""},
        {"example_hashes": ("not a hash",)},
        {"routing": "two_way"},
        {"routing": "none"},
        {"created": "2026-01-02T03:04:05"},
        {"created": "yesterday"},
        {"language": "swahili"},
        {"reference_refusal": {"harmful": 90.0}},
        {"evidence": {"own_threshold": math.nan}},
        {"estimator": "conformal", "vacuous": True},
    ],
    ids=str,
)
def test_a_calibration_that_would_be_refused_is_not_saved(
    broken: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(ArtefactRefused, match="cannot be saved"):
        save_calibration(replace(a_calibration(), **broken), tmp_path / "sw")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"parts": parts_with(linear=LinearReadout(torch.full((8,), math.nan), 0.0))},
        {"parts": parts_with(linear=LinearReadout(torch.zeros(7), 0.0))},
        {"parts": parts_with(linear=LinearReadout(torch.zeros(8), math.inf))},
        {"parts": parts_with(basis=torch.full((8, 2), math.nan))},
        {"parts": parts_with(basis=torch.zeros(7, 2))},
        {"parts": parts_with(place=Place(4, "last"))},
        {"parts": parts_with(place=Place(0, "first"))},  # type: ignore[arg-type]
        {"steering": replace(a_readout().steering, direction=torch.ones(8))},
        {"steering": replace(a_readout().steering, layer=4)},
        {"source_languages": ()},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_readout_that_would_be_refused_is_not_saved(
    broken: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(ArtefactRefused):
        save_readout(replace(a_readout(), **broken), tmp_path / "readout")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_read_twice_is_refused_even_when_vouched_for(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")

    def twice(record: dict[str, object]) -> None:
        first, second = record["parts"]  # type: ignore[misc]
        second.update(layer=first["layer"], reading=first["reading"])

    rewritten(tmp_path / "readout", "readout.json", twice)
    with pytest.raises(ArtefactRefused, match="reads the same place twice"):
        load_readout(tmp_path / "readout")


def test_an_example_given_as_text_is_refused_without_being_shown(tmp_path: Path) -> None:
    calibration = replace(a_calibration(), example_hashes=("the secret prompt",))
    with pytest.raises(ArtefactRefused) as refusal:
        save_calibration(calibration, tmp_path / "sw")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("part", ["weights", "tokenizer", "chat_template"])
def test_the_digest_of_another_backbone_is_refused_by_name(part: str, tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    running = replace(BACKBONE, **{f"{part}_digest": "0" * 64})
    with pytest.raises(ArtefactRefused, match=f"{part.replace('_', ' ')} differ.*recal fit"):
        load_readout(tmp_path / "readout", backbone=running)


def test_the_name_of_a_backbone_may_differ(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    load_readout(tmp_path / "readout", backbone=replace(BACKBONE, name="a/copy"))


def test_another_digest_than_expected_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match="000000000000… was expected"):
        load_readout(tmp_path / "readout", digest="0" * 64)


def test_an_unknown_schema_version_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    rewritten(tmp_path / "readout", "readout.json", lambda record: record.update(schema_version=3))
    with pytest.raises(ArtefactRefused, match="than this build reads, which is 1 to 2"):
        load_readout(tmp_path / "readout")


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", "readout.pkl"])
def test_a_manifest_that_names_another_file_is_refused(name: str, tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    manifest = json.loads((tmp_path / "readout" / MANIFEST).read_bytes())
    manifest["files"][name] = "0" * 64
    (tmp_path / "readout" / MANIFEST).write_bytes(canonical_json(manifest))
    with pytest.raises(ArtefactRefused, match="must name exactly"):
        load_readout(tmp_path / "readout")


def test_a_manifest_that_was_reformatted_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    manifest = tmp_path / "readout" / MANIFEST
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(ArtefactRefused, match="not in canonical form"):
        load_readout(tmp_path / "readout")


def test_a_link_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    (tmp_path / "readout" / "readout.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "readout" / "readout.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ArtefactRefused, match="links are not followed"):
        load_readout(tmp_path / "readout")


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    (tmp_path / "link").symlink_to(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match="not a directory"):
        load_readout(tmp_path / "link")


def test_a_pipe_in_place_of_a_file_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    (tmp_path / "readout" / "readout.json").unlink()
    os.mkfifo(tmp_path / "readout" / "readout.json")
    with pytest.raises(ArtefactRefused, match="not a plain file"):
        load_readout(tmp_path / "readout")


@pytest.mark.parametrize("name", [MANIFEST, "readout.json", "readout.safetensors"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    saved_readout(tmp_path / "readout")
    (tmp_path / "readout" / name).unlink()
    with pytest.raises(ArtefactRefused, match="cannot be read"):
        load_readout(tmp_path / "readout")


def test_a_calibration_is_not_taken_for_a_readout(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    with pytest.raises(ArtefactRefused, match="is a calibration, not a readout"):
        load_readout(tmp_path / "sw")


def test_an_unknown_field_is_refused_even_when_the_manifest_vouches_for_it(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    rewritten(tmp_path / "sw", "calibration.json", lambda record: record.update(extra=1))
    with pytest.raises(ArtefactRefused, match="`extra`"):
        load_calibration(tmp_path / "sw")


def test_thresholds_out_of_order_are_refused_even_when_vouched_for(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    wrong = {"steer": 0.0, "release": 1.0}
    rewritten(tmp_path / "sw", "calibration.json", lambda record: record.update(thresholds=wrong))
    with pytest.raises(ArtefactRefused, match="lies above the steer threshold"):
        load_calibration(tmp_path / "sw")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One byte flipped, put in, taken out, or everything after it cut."""
    place = rng.randrange(len(content))
    byte = bytes([content[place] ^ rng.randrange(1, 256)])
    return rng.choice(
        [
            content[:place] + byte + content[place + 1 :],
            content[:place] + byte + content[place:],
            content[:place] + content[place + 1 :],
            content[:place],
        ]
    )


def artefacts(tmp_path: Path) -> list[tuple[Path, Callable[..., Readout | Calibration]]]:
    readout = saved_readout(tmp_path / "readout")
    saved_calibration(tmp_path / "sw", readout, "sw")
    saved_calibration(tmp_path / "yo", readout, "yo", own=an_own_readout())
    calibrations = [(tmp_path / language, load_calibration) for language in ("sw", "yo")]
    return [(tmp_path / "readout", load_readout), *calibrations]


def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    rng = random.Random(7)
    for directory, load in artefacts(tmp_path):
        for path in sorted(directory.iterdir()):
            good = path.read_bytes()
            for _ in range(200):
                path.write_bytes(mutated(good, rng))
                with pytest.raises(ArtefactRefused):
                    load(directory)
            path.write_bytes(good)
        load(directory)


def test_a_changed_byte_that_the_manifest_vouches_for_is_refused_or_harmless(
    tmp_path: Path,
) -> None:
    """Whoever can write the manifest can still not crash the loader."""
    rng = random.Random(7)
    refused = 0
    for directory, load in artefacts(tmp_path):
        for path in [path for path in sorted(directory.iterdir()) if path.name != MANIFEST]:
            good = path.read_bytes()
            for _ in range(200):
                path.write_bytes(mutated(good, rng))
                vouch(directory)
                refused += refuses(load, directory)
            path.write_bytes(good)
            vouch(directory)
    assert refused > 200


def refuses(load: Callable[..., object], directory: Path) -> bool:
    try:
        load(directory)
    except ArtefactRefused:
        return True
    return False


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    save_calibration(a_calibration(), tmp_path / "sw")
    (tmp_path / "sw" / MANIFEST).write_bytes(b"[" * 100_000)
    with pytest.raises(ArtefactRefused):
        load_calibration(tmp_path / "sw")


def test_a_copy_elsewhere_loads_with_the_same_digest(tmp_path: Path) -> None:
    saved = saved_readout(tmp_path / "readout")
    shutil.copytree(tmp_path / "readout", tmp_path / "copy")
    assert load_readout(tmp_path / "copy", digest=saved.digest).digest == saved.digest
