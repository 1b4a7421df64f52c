"""Real prompts of the benchmarks: PolyRefuse in 14 languages, and who may see which of them.

No group of translations that is scored was trained on. Scored and calibration prompts are the
matched ones: of one source, and alike in length and form, because on all prompts length alone tells
the classes apart. End punctuation, which gives the class away too, is taken off everywhere.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recal.datasets.duplicates import near_pairs, plain, without_end_punctuation
from recal.datasets.fetch import fetch_file
from recal.datasets.grouping import joined_groups, split_by_hash
from recal.datasets.layouts import File, Published, read_file
from recal.prompts import Prompt, Split, spread

HIGH = ("en", "de", "fr", "es", "it", "nl", "pl", "ru", "zh", "ja")
LOW = ("th", "ko", "ar", "yo")
LANGUAGES = HIGH + LOW

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Beside a clone."""
FILES = ("prompts.jsonl.gz", "matched_eval.jsonl.gz")

NEAR = 0.6
"""Stricter than an import's: such groups are joined here, and nothing is dropped for it."""
LONGEST = 600
"""Characters; a longer prompt takes the organism's whole context."""

_SOURCE = "polyrefuse:"
_HARMFUL: Mapping[Split, float] = {
    "test": 0.25,
    "calibration": 0.17,
    "validation": 0.12,
    "train": 0.46,
}
_HARMLESS: Mapping[Split, float] = {"test": 0.4, "calibration": 0.32, "train": 0.28}
"""Of groups published for testing only: Chinese harmless prompts are not aligned with the others,
and lie in the published training and validation splits."""
_HARMLESS_VALIDATION: Mapping[Split, float] = {"validation": 0.44, "train": 0.56}
"""Validation prompts are what readouts are fitted on, a language's own ones too, which ask for 50
translations a class; no organism learns them."""


@dataclass(frozen=True)
class PromptSets:
    """The prompts of the benchmarks."""

    prompts: tuple[Prompt, ...]
    """By split: train, validation, calibration (few-shot examples), test (scored)."""
    english: tuple[Prompt, ...]
    """English translations of all calibration prompts, whether they are matched or not."""


def benchmark_prompts(folder: Path | None = None) -> PromptSets:
    """Read, group and split the prompts.

    Args:
        folder: where the two files lie; beside the clone by default.

    Raises:
        SystemExit: they are not there; the message says what to do.
    """
    found = prompt_files(folder)
    published = [row for row in _read(found[0]) if row.language in LANGUAGES]
    matched = {row.id: row.text for row in _read(found[1])}
    group_of = _groups(published)
    rows_of: dict[str, list[Published]] = defaultdict(list)
    for row in published:
        rows_of[group_of[_key(row)]].append(row)
    prompts, english = [], []
    for group, rows in rows_of.items():
        split = _split(group, rows, matched)
        for row in rows:
            if split == "calibration" and row.language == "en":
                english.append(_prompt(row, row.text, split))
            if split in ("train", "validation"):
                prompts.append(_prompt(row, row.text, split))
            elif split is not None and row.id in matched:
                prompts.append(_prompt(row, matched[row.id], split))
    return PromptSets(tuple(filter(_fits, prompts)), tuple(english))


def _fits(prompt: Prompt) -> bool:
    return 0 < len(prompt.text) <= LONGEST


def thinned(sets: PromptSets, most: Mapping[Split, int]) -> PromptSets:
    """At most so many of each language, class and split; the same meanings in every language."""
    cells: dict[tuple[Split, str, bool], list[Prompt]] = defaultdict(list)
    for prompt in sets.prompts:
        cells[prompt.split, prompt.language, prompt.harmful].append(prompt)
    kept = [
        prompt
        for (split, _, _), cell in cells.items()
        for prompt in spread(cell, min(most[split], len(cell)))
    ]
    wanted = {prompt.parallel_id for prompt in kept if prompt.split == "calibration"}
    return PromptSets(tuple(kept), tuple(p for p in sets.english if p.parallel_id in wanted))


def languages_scored(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """Languages with scored prompts of both classes; Chinese has no harmless ones."""
    cells = {(p.language, p.harmful) for p in prompts if p.split == "test"}
    return tuple(la for la in LANGUAGES if {(la, True), (la, False)} <= cells)


def prompt_files(folder: Path | None = None) -> list[Path]:
    """Where the two files lie; folder and errors as `benchmark_prompts`."""
    folder = FOLDER if folder is None else folder
    paths = [folder / name for name in FILES]
    if missing := [path.name for path in paths if not path.is_file()]:
        sys.exit(
            f"the benchmarks need {' and '.join(missing)} in `{folder}`, and they are not there.\n"
            "They hold published prompts whose licences do not let this repository carry them.\n"
            "Put the folder `shared/data` beside the clone, or give another with --data PATH."
        )
    return paths


def _read(path: Path) -> list[Published]:
    rows = read_file(File(path.name, fetch_file(str(path), sha256=None)), "rows")
    return [
        replace(row, text=without_end_punctuation(row.text))
        for row in rows
        if row.id.startswith(_SOURCE)
    ]


def _key(row: Published) -> str:
    return row.parallel_id or row.id


def _groups(published: Sequence[Published]) -> dict[str, str]:
    pairs = []
    for language in LANGUAGES:
        mine = [row for row in published if row.language == language]
        texts = [plain(row.text) for row in mine]
        pairs += [(_key(mine[i]), _key(mine[j])) for i, j in near_pairs(texts, near=NEAR)]
    return joined_groups(map(_key, published), pairs)


def _split(group: str, rows: Sequence[Published], matched: Container[str]) -> Split | None:
    """The split of a group; None: nobody sees it."""
    split = _dealt(group, rows)
    if split in ("test", "calibration") and not any(row.id in matched for row in rows):
        # it would be neither scored nor drawn in any language: the organisms may learn from it
        return "train"
    return split


def _dealt(group: str, rows: Sequence[Published]) -> Split | None:
    labels, splits = {row.harmful for row in rows}, {row.split for row in rows}
    if not all(row.parallel_id for row in rows):
        # its translations in other languages are unknown, but for the split that they lie in
        return "train" if splits == {"train"} else None
    if labels == {True}:
        return split_by_hash(group, _HARMFUL)
    if labels == {False} and splits == {"test"}:
        return split_by_hash(group, _HARMLESS)
    if labels == {False} and splits == {"validation"}:
        return split_by_hash(group, _HARMLESS_VALIDATION)
    return "train"


def _prompt(row: Published, text: str, split: Split) -> Prompt:
    return Prompt(row.id, row.language, row.harmful, text, split, _key(row))
