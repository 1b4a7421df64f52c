"""Files of the form that the benchmarks read, with made-up prompts."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from benchmarks.science.prompt_sets import LANGUAGES

_SPLITS = ("train", "val", "test", "test", "val")
_WORDS = ("river", "stone", "cloud", "grass", "winter", "table", "garden", "paper", "silver")


def text_of(language: str, label: str, number: int) -> str:
    """Words that depend on all three, and no near-duplicate of others."""
    digest = hashlib.sha256(f"{language}/{label}/{number}".encode()).hexdigest()
    words = [f"{_WORDS[int(digest[at], 16) % len(_WORDS)]}{digest[at : at + 5]}" for at in range(4)]
    return f"{language}{number * 7919} {' '.join(words)} {label}{number}?"


def rows(n: int, languages: tuple[str, ...] = LANGUAGES) -> list[dict]:
    """Rows of n groups of each class, in every language; Chinese harmless ones are not aligned."""
    return [
        {
            "id": f"polyrefuse:{language}:{label}:{number}",
            "source": "polyrefuse",
            "lang": language,
            "label": label,
            "text": text_of(language, label, number),
            "parallel_id": None if unaligned else f"polyrefuse:{label}:{number}",
            "split": _SPLITS[number % len(_SPLITS)],
            "license": "Apache-2.0",
        }
        for language in languages
        for label in ("harmful", "harmless")
        for number in range(n)
        if not (unaligned := language == "zh" and label == "harmless")
        or _SPLITS[number % len(_SPLITS)] != "test"
    ]


def write(folder: Path, prompts: list[dict], matched: list[dict] | None = None) -> Path:
    """Both files; matched are all prompts by default, without their end punctuation."""
    chosen = prompts if matched is None else matched
    stripped = [{**row, "text": row["text"].rstrip("?")} for row in chosen]
    for name, content in (("prompts", prompts), ("matched_eval", stripped)):
        lines = "\n".join(json.dumps(row) for row in content)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder
