"""Files with what is known of a language beside its labelled examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from recal.collect import Activations
from recal.evidence import Beside
from recal.inputs import CORPUS, prompts_from
from recal.prompts import Prompt, load_examples, load_jsonl, select, spread

DEFAULT_K = 4
"""Examples per class from the corpus, where nothing at all is given."""

_YAML = frozenset({".yaml", ".yml"})

Collect = Callable[[str, Sequence[Prompt]], Activations]
"""Activations of prompts, with what they are called on the way."""


@dataclass(frozen=True)
class EvidenceFiles:
    """Where what is known of a language lies."""

    examples: Path | None = None
    k: int | None = None
    """Examples per class from the organism's corpus where there is no file of them; 0: none. None:
    as many as `DEFAULT_K` where no other file is given either, else none."""
    sources: Path | None = None
    unlabelled: Path | None = None
    harmful_share: float = 0.5
    parallel: Path | None = None
    translated: Path | None = None
    held_out: Path | None = None

    @property
    def n_from_corpus(self) -> int:
        """Examples per class that the corpus gives."""
        if self.examples is not None:
            return 0
        others = (self.sources, self.unlabelled, self.parallel, self.translated)
        default = DEFAULT_K if all(other is None for other in others) else 0
        return default if self.k is None else self.k


class Collected(NamedTuple):
    """What the files held, read by the backbone."""

    examples: Activations | None
    beside: Beside
    held_out: Activations | None


def collect_evidence(files: EvidenceFiles, language: str, collect: Collect) -> Collected:
    """Load every file that is named, and collect what it holds.

    All files are read before the first prompt is: a fault in the last costs no time.

    Raises:
        ValueError: a file is not of its form, or lacks the language or a class.
    """
    prompts = {
        "examples": _examples(files, language),
        "sources": load_sources(files.sources, language) if files.sources else None,
        "unlabelled": load_unlabelled(files.unlabelled, language) if files.unlabelled else None,
        "parallel": load_parallel(files.parallel, language) if files.parallel else None,
        "translated": load_examples(files.translated, language) if files.translated else None,
        "held out": _held_out(files.held_out, language) if files.held_out else None,
    }
    found = {name: collect(name, each) if each else None for name, each in prompts.items()}
    beside = Beside(
        sources=found["sources"],
        unlabelled=found["unlabelled"],
        harmful_share=files.harmful_share,
        parallel=found["parallel"],
        translated=found["translated"],
    )
    return Collected(found["examples"], beside, found["held out"])


def _examples(files: EvidenceFiles, language: str) -> list[Prompt] | None:
    if files.examples is not None:
        return load_examples(files.examples, language)
    if not files.n_from_corpus:
        return None
    mine = select(prompts_from(CORPUS, (language,)), split="calibration")
    return spread(mine, files.n_from_corpus)


def _held_out(path: Path, language: str) -> list[Prompt]:
    prompts = [p for p in load_jsonl(path, split="test") if p.language == language]
    if not prompts:
        raise ValueError(f"`{path.name}` holds no prompt of `{language}` to hold out")
    return prompts


def load_sources(path: Path, language: str) -> list[Prompt]:
    """Read source translations: labelled prompts of one other language.

    They are the examples' by `parallel_id`, or by `id` where a prompt has none.

    Args:
        path: YAML as of `load_examples`, or JSON lines; rows of `language` itself are left out.
        language: of the examples.

    Raises:
        ValueError: the file is not of that form, or holds no other language.
    """
    if path.suffix in _YAML:
        stated = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("language")
        if not isinstance(stated, str) or stated == language:
            raise ValueError(
                f"`{path.name}` says `language: {stated}`; it must name the source language of the "
                f"translations, not `{language}`"
            )
        return load_examples(path, stated)
    prompts = [p for p in load_jsonl(path, split="calibration") if p.language != language]
    if not prompts:
        raise ValueError(f"`{path.name}` holds no prompt of another language than `{language}`")
    return prompts


def load_unlabelled(path: Path, language: str) -> list[Prompt]:
    """Read prompts of a language that have no label: JSON lines with `text`.

    Args:
        path: a line may have `id` and `language`, which is this one where it has none; a line in
            another language is left out.
        language: BCP 47 tag.

    Returns:
        Prompts whose `harmful` means nothing and must not be read.

    Raises:
        ValueError: a line is not of the form, or none is of the language.
    """
    prompts = [p for p in _without_labels(path, language) if p.language == language]
    if not prompts:
        raise ValueError(f"`{path.name}` holds no prompt of `{language}`")
    return prompts


def load_parallel(path: Path, language: str) -> list[Prompt]:
    """Read prompts of a language and of a source language: JSON lines.

    They pair up by `parallel_id`, or by `id` where a line has none.

    Returns:
        Prompts whose `harmful` means nothing and must not be read.

    Raises:
        ValueError: a line is not of the form or has no `id`, or no prompt is of the language.
    """
    prompts = _without_labels(path, language, needed=("text", "id", "language"))
    if not any(p.language == language for p in prompts):
        raise ValueError(f"`{path.name}` holds no prompt of `{language}`")
    return prompts


def _without_labels(
    path: Path, language: str, *, needed: tuple[str, ...] = ("text",)
) -> list[Prompt]:
    prompts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            missing = [name for name in needed if not str(row.get(name) or "").strip()]
        except (json.JSONDecodeError, AttributeError) as error:
            raise ValueError(
                f"`{path.name}` line {number}: not a JSON object ({type(error).__name__})"
            ) from None
        if missing:
            raise ValueError(f"`{path.name}` line {number}: needs {', '.join(missing)}")
        prompts.append(
            Prompt(
                id=str(row.get("id", f"{path.stem}/{number}")),
                language=str(row.get("language", language)),
                harmful=False,
                text=str(row["text"]),
                split="calibration",
                parallel_id=str(row.get("parallel_id") or ""),
            )
        )
    return prompts
