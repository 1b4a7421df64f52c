"""A published file by URL or path, checked against its sha256 before anything reads it."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from recal.errors import DatasetRefused

MOST_BYTES = 1 << 30
"""Of a file, and of what it unpacks to: a prompt set is never larger."""

_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_GZIP = b"\x1f\x8b"


class _Stream(Protocol):
    def read(self, n: int, /) -> bytes: ...


def fetch_file(source: str, *, sha256: str | None, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a published file, unpacked where it is gzip.

    Args:
        source: an http(s) URL or a local path.
        sha256: of the file as published, in hexadecimal; a URL needs one, because what lies
            behind it can change.
        most_bytes: of the file, and of what it unpacks to.

    Raises:
        DatasetRefused: there is no such file, it is not the one that was meant, or too large.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DatasetRefused(f"`{sha256}` is no sha256; give its 64 hexadecimal digits")
    content = _read(source, most_bytes)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is None and _is_url(source):
        raise DatasetRefused(
            f"`{source}` needs a sha256, for what lies there can change; today's is {found}"
        )
    if sha256 is not None and found != sha256.lower():
        raise DatasetRefused(
            f"`{source}` has the sha256 {found}, not {sha256.lower()}; it is another file or "
            "another version: look at what changed before you take it"
        )
    return _unpacked(source, content, most_bytes) if content[:2] == _GZIP else content


def file_name(source: str) -> str:
    """The name of the file behind a URL or path, without a trailing `.gz`."""
    path = urlsplit(source).path if _is_url(source) else source
    return Path(path).name.removesuffix(".gz")


def _is_url(source: str) -> bool:
    return source.partition("://")[0].lower() in ("http", "https")


def _read(source: str, most_bytes: int) -> bytes:
    if "://" in source and not _is_url(source):
        raise DatasetRefused(f"`{source}` is neither an http(s) URL nor a path")
    try:
        if not _is_url(source):
            with Path(source).expanduser().open("rb") as file:
                return _bounded(source, file, most_bytes)
        request = urllib.request.Request(source, headers={"User-Agent": "recal"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return _bounded(source, response, most_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        raise DatasetRefused(f"`{source}` answers with HTTP status {error.code}") from None
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise DatasetRefused(f"`{source}` cannot be read: {reason}") from None


def _bounded(source: str, stream: _Stream, most_bytes: int) -> bytes:
    parts, size = [], 0
    while part := stream.read(_CHUNK):
        size += len(part)
        if size > most_bytes:
            raise DatasetRefused(f"`{source}` is larger than {most_bytes} bytes; split the file")
        parts.append(part)
    return b"".join(parts)


def _unpacked(source: str, content: bytes, most_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _bounded(source, file, most_bytes)
    except (EOFError, OSError, zlib.error) as error:
        reason = type(error).__name__
        raise DatasetRefused(f"`{source}` is broken gzip ({reason}); fetch it again") from None
