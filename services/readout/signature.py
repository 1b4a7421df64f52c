"""Who vouches for an artefact: an Ed25519 signature of its digest, beside its manifest.

A digest says that nothing was changed by accident; whoever can write artefacts and the registry's
tags can write digests to match. A signature needs a key that neither storage nor registry holds.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import StringConstraints

from services.errors import ArtefactRefused
from services.readout.manifest import SIGNATURE, canonical_json, parse, read_file
from services.readout.schema import Record, Sha256

PREFIX = b"recal artefact signature v1\n"
"""Stands before what is signed, so that no signature of something else is one of an artefact."""
PRIVATE_KEY, PUBLIC_KEY = "signing.key.pem", "signing.pub.pem"
"""Names of a new pair's files."""

_MAX_PEM_BYTES = 65_536
_SHOWN = 12


class SignatureRecord(Record):
    """`signature.json`: beside the manifest, and no part of the digest."""

    algorithm: Literal["ed25519"]
    key: Sha256
    """Id of the public key: sha256 of its DER form."""
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]
    """Base64, 64 bytes, over what `signed_bytes` gives."""


def signed_bytes(digest: str) -> bytes:
    """What is signed of the artefact with this digest."""
    return PREFIX + digest.encode() + b"\n"


def key_id(key: Ed25519PublicKey) -> str:
    """The sha256 of a public key's DER form, as `openssl pkey -pubin -outform DER` writes it."""
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


@dataclass(frozen=True)
class Trust:
    """Whose artefacts are taken. By default everybody's, which is what digests alone allow."""

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=lambda: MappingProxyType({}))
    """By id."""
    required: bool = False
    """An artefact without a signature by one of the keys is refused."""

    def signer(self, directory: Path, digest: str, label: str) -> str | None:
        """Id of the trusted key that signed the artefact.

        Args:
            directory: where it lies.
            digest: as it was verified.
            label: how messages call it.

        Returns:
            None where no trusted key signed it, which then is not required.

        Raises:
            ArtefactRefused: it is not signed by a trusted key and must be, or its signature is one
                of another content.
        """
        if not self.keys and not self.required:
            return None
        if not os.path.lexists(directory / SIGNATURE):
            if self.required:
                raise ArtefactRefused(
                    f"{label} is not signed, and `registry.require_signature` holds; sign it with "
                    "`recal sign`, register it again and promote the new version"
                )
            return None
        record = parse(SignatureRecord, read_file(directory / SIGNATURE, label), label, SIGNATURE)
        key = self.keys.get(record.key)
        if key is None:
            if not self.required:
                return None
            known = ", ".join(f"{each[:_SHOWN]}…" for each in sorted(self.keys))
            raise ArtefactRefused(
                f"{label} is signed by the key {record.key[:_SHOWN]}…, which is not trusted "
                f"(trusted: {known or 'none'}); sign it with a trusted key, or add that key to "
                "`registry.trusted_keys`"
            )
        try:
            key.verify(base64.b64decode(record.signature), signed_bytes(digest))
        except InvalidSignature:
            raise ArtefactRefused(
                f"the signature of {label} by the key {record.key[:_SHOWN]}… is of another "
                "content: it was changed or moved after signing; sign it again, or fetch it again"
            ) from None
        return record.key


def claimed_signer(directory: Path, label: str) -> str | None:
    """Id of the key that an artefact says it is signed by; nothing is verified.

    Raises:
        ArtefactRefused: its signature is no such file.
    """
    if not os.path.lexists(directory / SIGNATURE):
        return None
    return parse(SignatureRecord, read_file(directory / SIGNATURE, label), label, SIGNATURE).key


ANYBODY = Trust()
"""No key is trusted, and none asked for."""


def trust_of(paths: Iterable[Path], *, required: bool | None = None) -> Trust:
    """Trust in the public keys of PEM files.

    Args:
        paths: files, or directories whose `*.pem` files count.
        required: whether artefacts must be signed; None: exactly where there are keys.

    Raises:
        ValueError: a file cannot be read or is no Ed25519 public key, a directory has none, or
            signatures are required and nobody is trusted.
    """
    keys = {}
    for path in paths:
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"the directory `{path}` holds no public key (`*.pem`)")
        for file in files:
            key = read_public_key(file)
            keys[key_id(key)] = key
    if required and not keys:
        raise ValueError(
            "`require_signature` holds and `trusted_keys` names none, so that everything would be "
            "refused; give the public key of `recal keys new`"
        )
    return Trust(MappingProxyType(keys), bool(keys) if required is None else required)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """An Ed25519 public key from a PEM file.

    Raises:
        ValueError: it cannot be read, or is something else.
    """
    pem = _read_pem(path)
    if b"PRIVATE KEY" in pem:
        raise ValueError(
            f"`{path}` holds a private key; give the public one beside it (`{PUBLIC_KEY}`), and "
            "keep the private one away from servers"
        )
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            f"`{path}` is no public key in PEM; make one with `recal keys new`"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"`{path}` is no Ed25519 key; make one with `recal keys new`")
    return key


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key from a PEM file that is not everybody's to read.

    Raises:
        ValueError: it cannot be read, is something else, or anybody may read it.
    """
    pem = _read_pem(path)
    if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
        raise ValueError(f"everybody may read the private key `{path}`; `chmod 600` it")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            f"`{path}` is no private key in PEM without a passphrase; make one with "
            "`recal keys new`"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"`{path}` is no Ed25519 key; make one with `recal keys new`")
    return key


def _read_pem(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PEM_BYTES)
    except OSError as error:
        raise ValueError(f"the key `{path}` cannot be read ({type(error).__name__})") from None


def new_keys(directory: Path) -> str:
    """Write a new pair of keys; the private one for its owner alone.

    Returns:
        The public key's id.

    Raises:
        ValueError: there is a pair already.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content, mode in ((PRIVATE_KEY, private, 0o600), (PUBLIC_KEY, public, 0o644)):
        try:
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise ValueError(
                f"`{directory / name}` exists, and what it signed needs it; choose another "
                "directory"
            ) from None
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    return key_id(key.public_key())


def sign(directory: Path, digest: str, key: Ed25519PrivateKey) -> str:
    """Write an artefact's signature, in one step; an earlier one is replaced.

    Args:
        directory: where the artefact lies.
        digest: its digest, of an artefact that was verified.
        key: signs it.

    Returns:
        Id of the key.
    """
    signer = key_id(key.public_key())
    signature = base64.b64encode(key.sign(signed_bytes(digest))).decode()
    record = SignatureRecord(algorithm="ed25519", key=signer, signature=signature)
    # Not in the directory itself: a reader would find a file that no manifest names.
    handle, scratch = tempfile.mkstemp(prefix=f".{directory.name}.", dir=directory.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)
            file.write(canonical_json(record.model_dump(mode="json")))
        os.replace(scratch, directory / SIGNATURE)
    except BaseException:
        os.unlink(scratch)
        raise
    return signer
