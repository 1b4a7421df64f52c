"""`recal prompts import`, from a web server to a file that training takes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from typer.testing import CliRunner, Result

from recal.cli import app
from recal.prompts import load_jsonl
from tests.unit.recal.datasets.file_server import serving


def content(n: int = 30) -> bytes:
    rows = [
        {
            "id": f"set:{language}:{label}:{i}",
            "lang": language,
            "label": label,
            "text": f"secret {i * 7919} {label}",
            "parallel_id": f"set:{label}:{i}",
            "split": None,
        }
        for language in ("en", "yo")
        for label in ("harmful", "harmless")
        for i in range(n)
    ]
    return "\n".join(json.dumps(row) for row in rows).encode()


def imported(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["prompts", "import", *arguments])


def test_a_published_file_becomes_prompts_and_a_table(tmp_path: Path) -> None:
    out = tmp_path / "new" / "prompts.jsonl"
    with serving({"/p.jsonl": content()}) as server:
        digest = hashlib.sha256(content()).hexdigest()
        done = imported(f"{server}/p.jsonl", "--sha256", digest, "--out", str(out))
    assert done.exit_code == 0, done.output
    prompts = load_jsonl(out)
    assert len(prompts) == 120
    assert "120 of 120 prompts in 60 groups" in " ".join(done.output.split())
    n_train = sum(p.split == "train" and p.language == "yo" and p.harmful for p in prompts)
    assert f"yo       │ {n_train} / " in done.output
    assert "secret" not in done.output


def test_shares_of_splits_can_be_given(tmp_path: Path) -> None:
    source, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    source.write_bytes(content())
    done = imported(str(source), "--out", str(out), "--shares", "train=0.5,test=0.5")
    assert done.exit_code == 0, done.output
    assert {p.split for p in load_jsonl(out)} == {"train", "test"}


def test_a_share_of_no_split_is_named(tmp_path: Path) -> None:
    done = imported("p", "--out", str(tmp_path / "o"), "--shares", "train=half")
    assert "`train=half` is no share" in str(done.exception)


def test_one_digest_for_two_files_is_refused(tmp_path: Path) -> None:
    done = imported("a", "b", "--sha256", "0" * 64, "--out", str(tmp_path / "o"))
    assert "2 file(s) and 1 sha256" in str(done.exception)


def test_a_wrong_digest_writes_nothing(tmp_path: Path) -> None:
    source, out = tmp_path / "p.jsonl", tmp_path / "o.jsonl"
    source.write_bytes(content())
    done = imported(str(source), "--sha256", "0" * 64, "--out", str(out))
    assert "another file" in str(done.exception)
    assert not out.exists()
