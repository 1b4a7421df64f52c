"""Human labels as JSON lines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from recal.judge.exchange import Exchange
from recal.judge.labels import LabelledExchange, load_labels

ROW = {"prompt": "a secret", "text": "No.", "refused": True}


def write(folder: Path, *lines: str) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_labels_are_read_with_or_without_a_language(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(ROW), "", json.dumps(ROW | {"language": "sw", "id": 7}))
    labels = load_labels(path)
    exchange = Exchange("a secret", "No.")
    assert labels.rows == (
        LabelledExchange(exchange, True, None),
        LabelledExchange(exchange, True, "sw"),
    )
    assert labels.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{a secret", "line 2 is no JSON object"),
        ('["a secret"]', "line 2 is no JSON object"),
        (json.dumps(ROW | {"refused": 1}), "line 2: `refused` must be true or false"),
        (json.dumps(ROW | {"refused": "true"}), "`refused` must be true or false"),
        (json.dumps({"text": "a secret", "refused": True}), "`prompt` must be a text"),
        (json.dumps(ROW | {"text": None}), "`text` must be a text"),
        (json.dumps(ROW | {"language": 3}), "`language` must be a BCP 47 tag"),
    ],
)
def test_a_wrong_line_is_named_by_number_and_field_without_its_text(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        load_labels(write(tmp_path, json.dumps(ROW), line))
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no labels"):
        load_labels(write(tmp_path, "", " "))


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\xff")
    with pytest.raises(ValueError, match="no UTF-8 at byte"):
        load_labels(path)
