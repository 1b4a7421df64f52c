"""Made-up prompts in the layout of the real ones, which no repository may carry."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

from benchmarks.science.prompt_sets import FILES, LANGUAGES

N = 150
"""Of each language, class and published split."""
_SYLLABLES = ["ba", "ke", "li", "mo", "nu", "ra", "so", "ti", "vu", "ze", "da", "fi", "go", "ha"]


def write(folder: Path) -> Path:
    """Write both files; the folder."""
    published = [row for language in LANGUAGES for row in _rows(language)]
    # Chinese harmless prompts are not aligned, so that there are none to match
    matched = [row for row in published if row["split"] == "test" and row["lang"] != "zh"]
    matched += [row for row in published if row["lang"] == "zh" and row["label"] == "harmful"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(FILES, (published, matched), strict=True):
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / name).write_bytes(gzip.compress(lines.encode(), mtime=0))
    return folder


def _rows(language: str) -> list[dict[str, object]]:
    found = []
    for label, split in (
        ("harmful", "test"),
        ("harmless", "test"),
        ("harmless", "validation"),
        ("harmless", "train"),
    ):
        for number in range(N):
            aligned = language != "zh" or label == "harmful"
            found.append(
                {
                    "id": f"polyrefuse:{language}:{label}:{split}:{number}",
                    "lang": language,
                    "label": label,
                    "text": _text(language, label, split, number),
                    "parallel_id": f"{label}:{split}:{number}" if aligned else None,
                    "split": split if aligned else "train",
                }
            )
    return found


def _text(language: str, label: str, split: str, number: int) -> str:
    """Words at random; a few more often in one class, in words of the language's own."""
    random = Random(f"{language} {label} {split} {number}")
    telling = Random(f"{language} {label}")
    own = ["".join(telling.choices(_SYLLABLES, k=3)) for _ in range(4)]
    words = ["".join(random.choices(_SYLLABLES, k=3)) for _ in range(6)]
    return " ".join([*words, *random.sample(own, 2)])
