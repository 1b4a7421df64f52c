"""Who signed an artefact, and what a server makes of it."""

from __future__ import annotations

import base64
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout
from services.readout.directory_source import DirectorySource
from services.readout.manifest import SIGNATURE, canonical_json, members
from services.readout.signature import (
    ANYBODY,
    PREFIX,
    PRIVATE_KEY,
    PUBLIC_KEY,
    Trust,
    key_id,
    new_keys,
    read_private_key,
    read_public_key,
    sign,
    trust_of,
)
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import saved_calibration, saved_readout

Tamper = Callable[[Path], object]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    new_keys(tmp_path / "keys")
    return tmp_path / "keys"


def signed(directory: Path, keys: Path, seed: int = 0) -> str:
    """A readout at `directory` under the signature of a pair of keys."""
    digest = saved_readout(directory, seed=seed).digest
    sign(directory, digest, read_private_key(keys / PRIVATE_KEY))
    return digest


def trusting(keys: Path, *, required: bool | None = None) -> Trust:
    return trust_of([keys / PUBLIC_KEY], required=required)


def test_a_signed_artefact_is_taken_under_the_same_digest(tmp_path: Path, keys: Path) -> None:
    digest = signed(tmp_path / "readout", keys)
    loaded = load_readout(tmp_path / "readout", trust=trusting(keys), digest=digest)
    assert loaded.digest == digest
    assert trusting(keys).signer(tmp_path / "readout", digest, "it") == key_id(
        read_public_key(keys / PUBLIC_KEY)
    )


def test_an_artefact_without_a_signature_is_refused_as_soon_as_a_key_is_trusted(
    tmp_path: Path, keys: Path
) -> None:
    saved = saved_readout(tmp_path / "readout")
    saved_calibration(tmp_path / "sw", saved, "sw")
    with pytest.raises(ArtefactRefused, match="readout.*is not signed.*`recal sign`"):
        load_readout(tmp_path / "readout", trust=trusting(keys))
    with pytest.raises(ArtefactRefused, match="calibration.*is not signed"):
        load_calibration(tmp_path / "sw", trust=trusting(keys))


def test_by_default_and_where_signatures_are_not_required_everybody_is_taken(
    tmp_path: Path, keys: Path
) -> None:
    saved_readout(tmp_path / "readout")
    load_readout(tmp_path / "readout", trust=ANYBODY)
    load_readout(tmp_path / "readout", trust=trusting(keys, required=False))
    new_keys(tmp_path / "others")
    signed(tmp_path / "theirs", tmp_path / "others")
    load_readout(tmp_path / "theirs", trust=trusting(keys, required=False))


def test_the_signature_of_a_key_that_is_not_trusted_is_refused_by_its_id(
    tmp_path: Path, keys: Path
) -> None:
    theirs = new_keys(tmp_path / "others")
    signed(tmp_path / "readout", tmp_path / "others")
    with pytest.raises(ArtefactRefused, match=f"{theirs[:12]}…, which is not trusted"):
        load_readout(tmp_path / "readout", trust=trusting(keys))


def claim(directory: Path, **fields: str) -> None:
    record = json.loads((directory / SIGNATURE).read_bytes())
    (directory / SIGNATURE).write_bytes(canonical_json(record | fields))


def reseal(directory: Path) -> None:
    """Other content under a manifest that names it, as whoever can write artefacts can do."""
    kept = (directory / SIGNATURE).read_bytes()
    saved_readout(directory, seed=7)
    (directory / SIGNATURE).write_bytes(kept)


def exchange_signature(directory: Path) -> None:
    other = directory.with_name("other")
    signed(other, directory.with_name("keys"), seed=3)
    shutil.copyfile(other / SIGNATURE, directory / SIGNATURE)


def claim_the_key(directory: Path) -> None:
    """Signed by somebody else under the name of the trusted key."""
    ours = key_id(read_public_key(directory.with_name("keys") / PUBLIC_KEY))
    new_keys(directory.with_name("others"))
    signed(directory, directory.with_name("others"))
    claim(directory, key=ours)


def sign_without_prefix(directory: Path) -> None:
    """The key's signature of the bare digest, made for another purpose."""
    key = read_private_key(directory.with_name("keys") / PRIVATE_KEY)
    digest = load_readout(directory).digest
    claim(directory, signature=base64.b64encode(key.sign(digest.encode())).decode())


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (reseal, "is of another content"),
        (exchange_signature, "is of another content"),
        (claim_the_key, "is of another content"),
        (sign_without_prefix, "is of another content"),
        (lambda at: claim(at, signature="A" * 86 + "=="), "is of another content"),
        (lambda at: claim(at, signature="A" * 85), "not valid at `signature`"),
        (lambda at: claim(at, algorithm="none"), "not valid at `algorithm`"),
        (lambda at: claim(at, key="0" * 64), "which is not trusted"),
        (lambda at: (at / SIGNATURE).write_bytes(b""), "not valid"),
        (lambda at: (at / SIGNATURE).write_bytes(b"x" * 5_000_000), "more than the"),
        (lambda at: (at / SIGNATURE).unlink(), "is not signed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_signature_that_was_tampered_with_is_refused(
    tamper: Tamper, words: str, tmp_path: Path, keys: Path
) -> None:
    signed(tmp_path / "readout", keys)
    tamper(tmp_path / "readout")
    with pytest.raises(ArtefactRefused, match=words):
        load_readout(tmp_path / "readout", trust=trusting(keys))


def test_a_linked_signature_is_refused(tmp_path: Path, keys: Path) -> None:
    signed(tmp_path / "readout", keys)
    (tmp_path / "readout" / SIGNATURE).rename(tmp_path / "kept")
    (tmp_path / "readout" / SIGNATURE).symlink_to(tmp_path / "kept")
    with pytest.raises(ArtefactRefused, match="links are not followed"):
        load_readout(tmp_path / "readout", trust=trusting(keys))


async def test_the_last_good_set_serves_on_when_an_unsigned_one_takes_its_place(
    tmp_path: Path, keys: Path
) -> None:
    digest = signed(tmp_path / "set" / "readout", keys)
    store = BundleStore(DirectorySource(tmp_path / "set", trust=trusting(keys)), PrometheusMeter())
    assert await store.refresh() == "swapped"
    saved_readout(tmp_path / "set" / "readout", seed=1)
    assert await store.refresh() == "refused"
    assert store.current.readout.digest == digest
    newer = signed(tmp_path / "set" / "readout", keys, seed=1)
    assert await store.refresh() == "swapped"
    assert store.current.readout.digest == newer


async def test_an_unsigned_calibration_takes_down_its_own_language_alone(
    tmp_path: Path, keys: Path
) -> None:
    signed(tmp_path / "readout", keys)
    readout = load_readout(tmp_path / "readout")
    for language in ("sw", "yo"):
        at = tmp_path / "calibrations" / language
        digest = saved_calibration(at, readout, language).digest
        if language == "sw":
            sign(at, digest, read_private_key(keys / PRIVATE_KEY))
    bundle = DirectorySource(tmp_path, trust=trusting(keys)).fetch()
    assert (list(bundle.calibrations), list(bundle.refused)) == (["sw"], ["yo"])
    assert "is not signed" in bundle.refused["yo"]


def test_keys_may_be_changed_while_both_are_trusted(tmp_path: Path, keys: Path) -> None:
    new_keys(tmp_path / "newer")
    (tmp_path / "trusted").mkdir()
    for name in ("keys", "newer"):
        shutil.copyfile(tmp_path / name / PUBLIC_KEY, tmp_path / "trusted" / f"{name}.pem")
    both = trust_of([tmp_path / "trusted"])
    assert len(both.keys) == 2
    for name in ("keys", "newer"):
        signed(tmp_path / f"by {name}", tmp_path / name)
        load_readout(tmp_path / f"by {name}", trust=both)


def test_a_signature_travels_with_the_artefacts_files_and_is_no_part_of_its_digest(
    tmp_path: Path, keys: Path
) -> None:
    saved = saved_readout(tmp_path / "readout")
    named = [path.name for path in members(tmp_path / "readout", "it")]
    sign(tmp_path / "readout", saved.digest, read_private_key(keys / PRIVATE_KEY))
    assert [path.name for path in members(tmp_path / "readout", "it")] == [*named, SIGNATURE]
    assert load_readout(tmp_path / "readout").digest == saved.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys", "readout"]


def test_signing_again_replaces_the_signature_in_one_step(tmp_path: Path, keys: Path) -> None:
    digest = signed(tmp_path / "readout", keys)
    first = (tmp_path / "readout" / SIGNATURE).read_bytes()
    new_keys(tmp_path / "newer")
    sign(tmp_path / "readout", digest, read_private_key(tmp_path / "newer" / PRIVATE_KEY))
    assert (tmp_path / "readout" / SIGNATURE).read_bytes() != first
    load_readout(tmp_path / "readout", trust=trusting(tmp_path / "newer"))


def test_a_new_private_key_is_its_owners_alone_and_replaces_none(
    tmp_path: Path, keys: Path
) -> None:
    assert stat.S_IMODE((keys / PRIVATE_KEY).stat().st_mode) == 0o600
    before = (keys / PRIVATE_KEY).read_bytes()
    with pytest.raises(ValueError, match="exists, and what it signed needs it"):
        new_keys(keys)
    assert (keys / PRIVATE_KEY).read_bytes() == before


def test_a_private_key_that_everybody_may_read_signs_nothing(keys: Path) -> None:
    (keys / PRIVATE_KEY).chmod(0o644)
    with pytest.raises(ValueError, match="everybody may read.*chmod 600"):
        read_private_key(keys / PRIVATE_KEY)


def rsa(path: Path) -> None:
    public = generate_private_key(65537, 2048).public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda at: at.unlink(), "cannot be read .FileNotFoundError"),
        (lambda at: at.write_text("ssh-ed25519 AAAA"), "no public key in PEM"),
        (lambda at: shutil.copyfile(at.with_name(PRIVATE_KEY), at), "holds a private key"),
        (rsa, "no Ed25519 key"),
    ],
    ids=["missing", "another format", "private", "rsa"],
)
def test_a_trusted_key_that_is_none_is_told_before_anything_is_loaded(
    spoil: Tamper, words: str, keys: Path
) -> None:
    spoil(keys / PUBLIC_KEY)
    with pytest.raises(ValueError, match=words):
        trusting(keys)


def test_signatures_of_nobody_cannot_be_required(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`trusted_keys` names none"):
        trust_of([], required=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no public key"):
        trust_of([tmp_path / "empty"])


def test_what_is_signed_can_be_checked_with_other_tools(tmp_path: Path, keys: Path) -> None:
    """The words of docs/trust.md: prefix, digest in hexadecimal, line feed."""
    digest = signed(tmp_path / "readout", keys)
    record = json.loads((tmp_path / "readout" / SIGNATURE).read_bytes())
    said = b"recal artefact signature v1\n" + digest.encode() + b"\n"
    assert said.startswith(PREFIX)
    key = read_public_key(keys / PUBLIC_KEY)
    key.verify(base64.b64decode(record["signature"]), said)
    assert record["key"] == key_id(key)
