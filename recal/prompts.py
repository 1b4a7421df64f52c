"""Labelled multilingual prompts, and the splits that cannot overlap."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import yaml

Split = Literal["train", "validation", "calibration", "test", "heldout"]
"""`heldout` is the harder test: prompts whose subject never occurs in training."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One labelled request. Never an answer."""

    id: str
    language: str
    """BCP 47 tag."""
    harmful: bool
    text: str
    split: Split
    parallel_id: str = ""
    """Joins the translations of one prompt, which never stand in two splits; the id by default."""

    def __post_init__(self) -> None:
        if not self.parallel_id:
            object.__setattr__(self, "parallel_id", self.id)

    @property
    def digest(self) -> str:
        """sha256 of the text: what artefacts keep instead of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def split_named(name: str) -> Split:
    """The split of a name.

    Raises:
        ValueError: there is none.
    """
    for split in get_args(Split):
        if split == name:
            found: Split = split
            return found
    raise ValueError(f"no split is called `{name}`; choose one of {', '.join(get_args(Split))}")


def select(
    prompts: Iterable[Prompt],
    *,
    split: Split | None = None,
    languages: Sequence[str] | None = None,
    harmful: bool | None = None,
) -> list[Prompt]:
    """The prompts that match, in their order."""
    return [
        p
        for p in prompts
        if (split is None or p.split == split)
        and (languages is None or p.language in languages)
        and (harmful is None or p.harmful == harmful)
    ]


def spread(prompts: Sequence[Prompt], n: int) -> list[Prompt]:
    """Take n prompts of each language and class, chosen by a hash of their parallel id.

    The hash depends on that id alone, so the same n meanings are taken in every language,
    and a larger n keeps what a smaller one took.

    Raises:
        ValueError: a language and class has fewer than n prompts.
    """
    return _first_by_hash(prompts, n, lambda prompt: prompt.parallel_id)


def draw(prompts: Sequence[Prompt], k: int, *, number: int) -> list[Prompt]:
    """Draw k prompts of each language and class: other meanings in every language and draw.

    Args:
        prompts: what is drawn from.
        k: how many of each language and class.
        number: of the draw; the same one gives the same prompts.

    Raises:
        ValueError: a language and class has fewer than k prompts.
    """
    return _first_by_hash(prompts, k, lambda prompt: f"{number}/{prompt.language}/{prompt.id}")


def fewest(prompts: Sequence[Prompt]) -> int:
    """How many prompts the smallest language and class has, of those that have any; 0 of none."""
    counts = Counter((prompt.language, prompt.harmful) for prompt in prompts)
    return min(counts.values(), default=0)


def _first_by_hash(prompts: Sequence[Prompt], n: int, key: Callable[[Prompt], str]) -> list[Prompt]:
    groups: dict[tuple[str, bool], list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault((prompt.language, prompt.harmful), []).append(prompt)
    for (language, harmful), group in groups.items():
        if len(group) < n:
            raise ValueError(
                f"{n} prompts wanted, but `{language}` has only {len(group)} "
                f"{'harmful' if harmful else 'harmless'} ones"
            )
        group.sort(key=lambda prompt: hashlib.sha256(key(prompt).encode()).digest())
    return [prompt for group in groups.values() for prompt in group[:n]]


def refuse_overlap(prompts: Sequence[Prompt]) -> None:
    """Check that no text stands in two splits of a language, and no text has both labels.

    Nor may translations of one prompt stand in two splits, where a parallel id joins them.

    Raises:
        ValueError: one does; the message gives the ids, never the text.
    """
    seen: dict[tuple[str, str], Prompt] = {}
    splits: dict[str, Prompt] = {}
    for prompt in prompts:
        translation = splits.setdefault(prompt.parallel_id, prompt)
        # an id that a file numbered anew in every language joins nothing
        if prompt.parallel_id != prompt.id and translation.split != prompt.split:
            raise ValueError(
                f"`{translation.id}` ({translation.split}) and `{prompt.id}` ({prompt.split}) are "
                f"translations of `{prompt.parallel_id}`; they belong to one split"
            )
        other = seen.setdefault((prompt.language, prompt.text), prompt)
        if (other.split, other.harmful) != (prompt.split, prompt.harmful):
            raise ValueError(
                f"`{other.id}` ({other.split}) and `{prompt.id}` ({prompt.split}) are the same "
                f"text in `{prompt.language}`; a text belongs to one split and one class"
            )


def load_examples(path: Path, language: str) -> list[Prompt]:
    """Read calibration examples: YAML with `language`, `harmful` and `harmless`, or JSON lines.

    YAML classes are lists of texts or mappings from id to text; a JSON line has `text`,
    `harmful`, `language` and optionally `id`, `split`, `parallel_id`.

    Raises:
        ValueError: the file is not of that form, is of another language, or lacks a class.
    """
    if path.suffix in {".yaml", ".yml"}:
        prompts = _from_yaml(path, language)
    elif path.suffix in {".jsonl", ".json"}:
        prompts = [p for p in load_jsonl(path, split="calibration") if p.language == language]
    else:
        raise ValueError(f"`{path.name}` is neither .yaml nor .jsonl")
    counts = Counter(p.harmful for p in prompts)
    if not counts[True] or not counts[False]:
        raise ValueError(
            f"`{path.name}` holds {counts[True]} harmful and {counts[False]} harmless examples "
            f"of `{language}`; at least one of each is needed"
        )
    return prompts


def _from_yaml(path: Path, language: str) -> list[Prompt]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not {"harmful", "harmless"} <= set(document):
        raise ValueError(f"`{path.name}` needs the keys `harmful` and `harmless`")
    stated = document.get("language", language)
    if stated != language:
        raise ValueError(f"`{path.name}` holds examples of `{stated}`, not of `{language}`")
    prompts = []
    for name in ("harmful", "harmless"):
        texts = document[name]
        items = texts.items() if isinstance(texts, dict) else enumerate(texts or [])
        # a place in a list names no meaning: two files' first texts translate nothing
        unnamed = "" if isinstance(texts, dict) else f"{path.stem}/"
        for key, text in items:
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"`{path.name}`: {name} example `{key}` is not a text")
            called = f"{name}/{key}"
            prompts.append(
                Prompt(
                    called,
                    language,
                    name == "harmful",
                    text,
                    "calibration",
                    parallel_id=unnamed + called,
                )
            )
    return prompts


def load_jsonl(path: Path, *, split: Split = "train") -> list[Prompt]:
    """Read prompts from JSON lines; `split` is what a line without one gets.

    Raises:
        ValueError: a line is not of the form; the message gives its number, never its text.
    """
    prompts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            prompt = Prompt(
                id=str(row.get("id", f"{path.stem}/{number}")),
                language=row["language"],
                harmful=_label(row["harmful"]),
                text=row["text"],
                split=row.get("split", split),
                parallel_id=str(row.get("parallel_id") or ""),
            )
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"`{path.name}` line {number}: needs `language`, `harmful` and `text` "
                f"({type(error).__name__})"
            ) from None
        if prompt.split not in get_args(Split):
            raise ValueError(f"`{path.name}` line {number}: no split is called `{prompt.split}`")
        if not isinstance(prompt.text, str) or not prompt.text.strip():
            raise ValueError(f"`{path.name}` line {number}: `text` is empty")
        prompts.append(prompt)
    return prompts


def _label(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("`harmful` must be true or false")
    return value


def save_jsonl(prompts: Iterable[Prompt], path: Path) -> None:
    """Write prompts as JSON lines."""
    lines = (
        json.dumps(
            {
                "id": p.id,
                "language": p.language,
                "harmful": p.harmful,
                "split": p.split,
                "text": p.text,
                **({} if p.parallel_id == p.id else {"parallel_id": p.parallel_id}),
            },
            ensure_ascii=False,
        )
        for p in prompts
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
