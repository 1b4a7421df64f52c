"""Texts that people have judged: JSON lines with prompt, text and whether the text refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from recal.judge.exchange import Exchange


class LabelledExchange(NamedTuple):
    """An exchange and what people say of it."""

    exchange: Exchange
    refused: bool
    language: str | None
    """BCP 47 tag of the prompt's language, None where the file does not say."""


class Labels(NamedTuple):
    """A file of labels."""

    rows: tuple[LabelledExchange, ...]
    digest: str
    """sha256 of the file: what artefacts keep instead of its texts."""


def load_labels(path: Path) -> Labels:
    """Read `{"prompt": …, "text": …, "refused": true}` a line; `language` may stand beside.

    Raises:
        ValueError: the file is empty or a line is not of the form; the message gives its number,
            never its text.
    """
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path.name}` is no UTF-8 at byte {error.start}; convert it") from None
    rows = [
        _row(f"`{path.name}` line {number}", line)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not rows:
        raise ValueError(f"`{path.name}` holds no labels; give at least one line")
    return Labels(tuple(rows), hashlib.sha256(content).hexdigest())


def _row(where: str, line: str) -> LabelledExchange:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        raise ValueError(f"{where} is no JSON object") from None
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no JSON object")
    kinds = {"prompt": str, "text": str, "refused": bool}
    for name, kind in kinds.items():
        if not isinstance(row.get(name), kind):
            word = "true or false" if kind is bool else "a text"
            raise ValueError(f"{where}: `{name}` must be {word}")
    language = row.get("language")
    if language is not None and not (isinstance(language, str) and language):
        raise ValueError(f"{where}: `language` must be a BCP 47 tag, or not be there")
    return LabelledExchange(Exchange(row["prompt"], row["text"]), row["refused"], language)
