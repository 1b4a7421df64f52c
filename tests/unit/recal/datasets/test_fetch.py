"""Fetching a published file: by URL and path, checked, unpacked, bounded."""

import gzip
import hashlib
from pathlib import Path

import pytest

from recal.datasets.fetch import fetch_file, file_name
from recal.errors import DatasetRefused
from tests.unit.recal.datasets.file_server import serving

CONTENT = b'{"text": "secret"}\n'


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "prompts.jsonl"
    found.write_bytes(CONTENT)
    return found


def test_a_file_behind_a_url_is_fetched_when_its_digest_is_right() -> None:
    with serving({"/p.jsonl": CONTENT}) as server:
        assert fetch_file(f"{server}/p.jsonl", sha256=sha256(CONTENT).upper()) == CONTENT


def test_a_url_without_a_digest_is_refused_and_todays_is_named() -> None:
    with (
        serving({"/p.jsonl": CONTENT}) as server,
        pytest.raises(DatasetRefused, match=sha256(CONTENT)),
    ):
        fetch_file(f"{server}/p.jsonl", sha256=None)


def test_a_local_file_needs_no_digest(path: Path) -> None:
    assert fetch_file(str(path), sha256=None) == CONTENT


def test_another_file_than_was_meant_is_refused_without_its_text(path: Path) -> None:
    with pytest.raises(DatasetRefused, match="not 0000") as caught:
        fetch_file(str(path), sha256="0" * 64)
    assert "secret" not in str(caught.value)


def test_the_digest_is_of_the_file_as_published_and_gzip_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT) + gzip.compress(b"second member")
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(packed)
    assert fetch_file(str(path), sha256=sha256(packed)) == CONTENT + b"second member"


def test_gzip_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress(CONTENT)[:-9])
    with pytest.raises(DatasetRefused, match="broken gzip"):
        fetch_file(str(path), sha256=None)


def test_a_file_that_is_too_large_is_refused_packed_or_not(tmp_path: Path) -> None:
    for name, content in (("a", b"0" * 2000), ("b.gz", gzip.compress(b"0" * 2000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetRefused, match="larger than 1000"):
            fetch_file(str(tmp_path / name), sha256=None, most_bytes=1000)


def test_what_is_not_there_is_named() -> None:
    with serving({}) as server, pytest.raises(DatasetRefused, match="HTTP status 404"):
        fetch_file(f"{server}/gone", sha256="0" * 64)
    with pytest.raises(DatasetRefused, match="`no/such/file` cannot be read: No such file"):
        fetch_file("no/such/file", sha256=None)


def test_a_server_that_is_away_is_named() -> None:
    with serving({}) as server:
        pass
    with pytest.raises(DatasetRefused, match=f"`{server}/p` cannot be read"):
        fetch_file(f"{server}/p", sha256="0" * 64)


@pytest.mark.parametrize("source", ["ftp://host/p", "file:///p", "s3://bucket/p"])
def test_other_schemes_are_refused(source: str) -> None:
    with pytest.raises(DatasetRefused, match="neither an http"):
        fetch_file(source, sha256="0" * 64)


def test_a_digest_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(DatasetRefused, match="64 hexadecimal digits"):
        fetch_file("no/such/file", sha256="abc")


def test_the_name_of_a_file_is_without_its_packing_and_query() -> None:
    assert file_name("https://host/a/b.json.gz?raw=1") == "b.json"
    assert file_name("folder/c.csv") == "c.csv"
