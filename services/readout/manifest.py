"""A directory of files under a manifest: written in one step, read only when no byte differs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from services.errors import ArtefactRefused
from services.readout.schema import OWN_READOUT_VERSION, PLAIN_VERSION, Manifest, Record

MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
"""The one file that may lie beside what a manifest names: `services.readout.signature`."""
_MAX_BYTES = 64 * 2**20
_MAX_JSON_BYTES = 4 * 2**20
"""Parsed, JSON takes a multiple of what it takes on disk; ours has a few kilobytes."""
_MAX_SHOWN = 120
"""Characters of somebody else's that a message may repeat."""

RecordT = TypeVar("RecordT", bound=Record)


class Sealed(NamedTuple):
    """The verified files of an artefact, and the digest of the whole."""

    files: Mapping[str, bytes]
    digest: str
    schema_version: int


def canonical_json(value: object) -> bytes:
    """The one way in which an artefact's JSON is written: equal values, equal bytes.

    Raises:
        ValueError: `value` holds NaN or an infinity.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def sha256(content: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(content).hexdigest()


def seal(directory: Path, kind: str, files: Mapping[str, bytes], schema_version: int) -> str:
    """Write files and their manifest in one step; a reader sees all of them or none.

    Args:
        directory: replaced when it exists; its parents are made.
        kind: `readout` or `calibration`.
        files: content by plain file name.
        schema_version: of these files.

    Returns:
        The artefact's digest: sha256 of the manifest's canonical JSON.
    """
    digests = {name: sha256(content) for name, content in files.items()}
    manifest = canonical_json({"schema_version": schema_version, "kind": kind, "files": digests})
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        scratch.chmod(0o755)
        for name, content in {**files, MANIFEST: manifest}.items():
            _write_durably(scratch / name, content)
        swap_in(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sha256(manifest)


def members(directory: Path, label: str) -> list[Path]:
    """The manifest, the files that it names, and the signature where there is one.

    Raises:
        ArtefactRefused: there is no manifest, or it is not one.
    """
    names = [MANIFEST, *sorted(manifest_of(directory, label).files)]
    if os.path.lexists(directory / SIGNATURE):
        names.append(SIGNATURE)
    return [directory / name for name in names]


def manifest_of(directory: Path, label: str) -> Manifest:
    """What an artefact says that it is; its files are not looked at.

    Raises:
        ArtefactRefused: there is no manifest, or it is not one.
    """
    return parse(Manifest, read_file(directory / MANIFEST, label), label, MANIFEST)


def swap_in(scratch: Path, directory: Path) -> None:
    """Rename `scratch` to `directory`, moving away whatever is there."""
    if not os.path.lexists(directory):
        scratch.rename(directory)
        return
    # A directory that is not empty cannot be renamed over; the gap between two renames is seen
    # by a reader as a missing artefact, which keeps the last good one.
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        directory.rename(old / "replaced")
        scratch.rename(directory)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def unseal(
    directory: Path,
    kind: str,
    names: frozenset[str],
    label: str,
    *,
    digest: str | None = None,
    optional: frozenset[str] = frozenset(),
) -> Sealed:
    """Read an artefact's files and verify them against its manifest.

    Args:
        directory: where the artefact lies.
        kind: what it must be.
        names: the files that it must consist of.
        label: how messages call it.
        digest: what its digest must be; None: not known.
        optional: files that it may have beside them.

    Raises:
        ArtefactRefused: anything is missing, changed, linked elsewhere or of an unknown schema.
    """
    if directory.is_symlink() or not directory.is_dir():
        raise ArtefactRefused(f"{label} is not a directory; check where it was saved")
    raw = read_file(directory / MANIFEST, label)
    manifest = parse(Manifest, raw, label, MANIFEST)
    _check_manifest(manifest, raw, kind, names, optional, label)
    if digest is not None and sha256(raw) != digest:
        raise ArtefactRefused(
            f"{label} has digest {sha256(raw)[:12]}…, {digest[:12]}… was expected; "
            "fetch or register it again"
        )
    _refuse_unnamed(directory, manifest, label)
    files = {name: read_file(directory / name, label) for name in sorted(manifest.files)}
    for name, content in files.items():
        if sha256(content) != manifest.files[name]:
            raise ArtefactRefused(
                f"`{name}` of {label} does not match its manifest: it was changed or cut short; "
                "fetch or save it again"
            )
    return Sealed(files, sha256(raw), manifest.schema_version)


def _check_manifest(
    manifest: Manifest,
    raw: bytes,
    kind: str,
    names: frozenset[str],
    optional: frozenset[str],
    label: str,
) -> None:
    if manifest.kind != kind:
        raise ArtefactRefused(f"{label} is a {manifest.kind}, not a {kind}; check its place")
    if manifest.files.keys() - optional != names:
        wrong = ", ".join(sorted(names.symmetric_difference(manifest.files.keys() - optional)))
        raise ArtefactRefused(
            f"the manifest of {label} must name exactly {', '.join(sorted(names))}; "
            f"it differs in {wrong[:200]!r}"
        )
    if canonical_json(manifest.model_dump(mode="json")) != raw:
        raise ArtefactRefused(
            f"`{MANIFEST}` of {label} is not in canonical form: it was changed; "
            "fetch or save it again"
        )


def _refuse_unnamed(directory: Path, manifest: Manifest, label: str) -> None:
    """Refuse a directory that holds anything but what its manifest names, read or not."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name not in (MANIFEST, SIGNATURE, *manifest.files):
                raise ArtefactRefused(
                    f"{label} holds `{shown(entry.name)}`, which its manifest does not name; take "
                    "it away"
                )


def read_file(path: Path, label: str) -> bytes:
    """Read one regular file of bounded size, following no link.

    Raises:
        ArtefactRefused: it is missing, a link, not a plain file, too large, or unreadable.
    """
    most = _MAX_JSON_BYTES if path.suffix == ".json" else _MAX_BYTES
    try:
        size, content = _open_and_read(path, most)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise ArtefactRefused(
                f"`{path.name}` of {label} is not a plain file; links are not followed"
            ) from None
        raise ArtefactRefused(
            f"`{path.name}` of {label} cannot be read ({type(error).__name__}); "
            "check that the artefact is complete"
        ) from None
    if size > most:
        raise ArtefactRefused(
            f"`{path.name}` of {label} has {size} bytes, more than the {most} that are read; "
            "make it again"
        )
    return content


def _open_and_read(path: Path, most: int) -> tuple[int, bytes]:
    """Size and content of a plain file, whose content counts only when it is no larger than `most`.

    Raises:
        OSError: it cannot be read, or is no plain file (a link: ELOOP, anything else: EISDIR).
    """
    # Looked at once it is open, so that nobody exchanges it in between; a pipe must not block.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "not a plain file")
        if status.st_size > most:
            return status.st_size, b""
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(handle)
    return len(content), content


def parse(record: type[RecordT], raw: bytes, label: str, name: str) -> RecordT:
    """Parse one JSON file strictly.

    Raises:
        ArtefactRefused: it is not JSON, or not what the schema says; the first fault is named.
    """
    try:
        parsed = record.model_validate_json(raw)
    except ValidationError as error:
        raise ArtefactRefused(f"`{name}` of {label} {first_fault(error)}") from None
    try:
        # Of two equal names one reader takes the first, another the last.
        json.loads(raw, object_pairs_hook=_refuse_repeated)
    except ValueError as error:
        raise ArtefactRefused(f"`{name}` of {label} {error}; make it again") from None
    return parsed


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"says `{shown(repeated)}` twice")


def shown(text: str) -> str:
    """Somebody else's text as a message may repeat it: short, on one line, no control codes."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}…"


def first_fault(error: ValidationError) -> str:
    """What is wrong first, without the input's own text."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if where == "schema_version":
        return (
            f"is of another schema version than this build reads, which is 1 to {PLAIN_VERSION}, "
            f"and {OWN_READOUT_VERSION} for calibrations with a readout of their own; make it "
            "again, or install the build that made it"
        )
    return f"is not valid at `{shown(where) or 'top'}`: {shown(fault['msg'])}; make it again"
