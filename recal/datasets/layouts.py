"""Published layouts of prompt files, each mapped to the project's prompts.

A new layout is a function from a file to its rows and a name in `LAYOUTS`. Messages hold the
file's name, a row's number and field names, never text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

import langcodes

from recal.errors import DatasetRefused
from recal.prompts import Split

_LABELS = {"harmful": True, "unsafe": True, "harmless": False, "safe": False}
_SPLITS: dict[str, Split] = {
    "val": "validation",
    "dev": "validation",
    **{name: name for name in get_args(Split)},
}
_POLYREFUSE = re.compile(r"(harmful|harmless)_(train|val|test)(?:_translated_(?P<language>\w+))?")
_MULTIJAIL_OTHERS = frozenset({"id", "source", "tags", ""})


@dataclass(frozen=True, slots=True)
class Published:
    """One prompt as it was published."""

    id: str
    language: str
    harmful: bool
    text: str
    parallel_id: str = ""
    """Shared by the translations of one prompt; empty: none is known."""
    split: Split | None = None
    """The split that its publishers gave it."""


@dataclass(frozen=True, slots=True)
class File:
    """A published file, and what it does not say itself."""

    name: str
    """For messages, ids and, in some layouts, language, label and split."""
    content: bytes
    language: str | None = None
    harmful: bool | None = None


Layout = Callable[[File], Iterator[Published]]


def read_file(file: File, layout: str = "auto") -> list[Published]:
    """Every prompt of a published file.

    Raises:
        DatasetRefused: no such layout, or a row is not of it; the message gives the row's number.
    """
    name = detect(file) if layout == "auto" else layout
    if name not in LAYOUTS:
        raise DatasetRefused(f"no layout `{name}`; choose auto or one of {', '.join(LAYOUTS)}")
    found = []
    for number, row in enumerate(LAYOUTS[name](file), start=1):
        if not isinstance(row.text, str) or not row.text.strip():
            raise DatasetRefused(f"`{file.name}` row {number}: the text is empty")
        if not _is_language(row.language):
            raise DatasetRefused(
                f"`{file.name}` row {number}: `{row.language}` is no BCP 47 tag of a language"
            )
        found.append(row)
    if not found:
        raise DatasetRefused(f"`{file.name}` holds no prompts")
    return found


def detect(file: File) -> str:
    """The layout of a file, by its first characters.

    Raises:
        DatasetRefused: it is none that can be told.
    """
    first = _text(file).lstrip().partition("\n")[0]
    if first.startswith("["):
        return "polyrefuse"
    if first.startswith("{"):
        return "recal" if '"harmful"' in first.replace('"harmful",', "") else "rows"
    columns = {column.strip().strip('"') for column in first.split(",")}
    for name, needed in (
        ("multijail", {"id", "source", "en"}),
        ("sealsbench", {"prompt", "label", "target_language"}),
        ("xstest", {"prompt", "type"}),
    ):
        if needed <= columns:
            return name
    raise DatasetRefused(
        f"the layout of `{file.name}` cannot be told; name one of {', '.join(LAYOUTS)}"
    )


def _recal(file: File) -> Iterator[Published]:
    for number, row in _json_lines(file):
        with _row_of(file, number):
            if not isinstance(row["harmful"], bool):
                raise TypeError
            yield Published(
                id=str(row.get("id", f"{file.name}:{number}")),
                language=row["language"],
                harmful=row["harmful"],
                text=row["text"],
                parallel_id=str(row.get("parallel_id") or row.get("id") or ""),
                split=_split(row.get("split")),
            )


def _rows(file: File) -> Iterator[Published]:
    """Rows with `id`, `lang`, `label`, `text`, `parallel_id` and `split`."""
    for number, row in _json_lines(file):
        with _row_of(file, number):
            yield Published(
                id=str(row["id"]),
                language=row["lang"],
                harmful=_label(row["label"]),
                text=row["text"],
                parallel_id=str(row["parallel_id"] or ""),
                split=_split(row["split"]),
            )


def _polyrefuse(file: File) -> Iterator[Published]:
    """PolyRefuse (arXiv:2505.17306): a list; language, label and split are in the file's name.

    Translations skip rows, so that they are joined by the English text and not by their number.
    """
    named = _POLYREFUSE.match(file.name)
    if named is None:
        raise DatasetRefused(
            f"`{file.name}` is not named as PolyRefuse's files are, such as "
            "`harmful_train_translated_yo.json`, from which label, split and language are read"
        )
    label, split = named.group(1), named.group(2)
    language = file.language or named.group("language") or "en"
    for number, row in enumerate(_json(file), start=1):
        with _row_of(file, number):
            english = row.get("instruction")
            key = hashlib.sha256(english.strip().encode()).hexdigest()[:16] if english else ""
            yield Published(
                id=f"polyrefuse:{label}:{split}:{language}:{number}",
                language=language,
                harmful=_LABELS[label],
                text=row["instruction"] if language == "en" else row["instruction_translated"],
                parallel_id=f"polyrefuse:{label}:{key}" if key else "",
                split=_SPLITS[split],
            )


def _multijail(file: File) -> Iterator[Published]:
    """MultiJail (arXiv:2310.06474): a column for each language; every prompt is harmful."""
    for number, row in _csv(file):
        for column, text in row.items():
            if column not in _MULTIJAIL_OTHERS and text.strip():
                with _row_of(file, number):
                    key = f"multijail:{row['id']}"
                    yield Published(f"{key}:{column}", column, True, text, parallel_id=key)


def _xstest(file: File) -> Iterator[Published]:
    """XSTest (arXiv:2308.01263): English; the label, or a type that begins with `contrast`."""
    for number, row in _csv(file):
        with _row_of(file, number):
            label = row.get("label") or ""
            harmful = _label(label) if label else row["type"].startswith("contrast")
            key = row.get("id") or row.get("id_v2") or str(number)
            yield Published(f"xstest:{key}", file.language or "en", harmful, row["prompt"])


def _sealsbench(file: File) -> Iterator[Published]:
    """SEALSBench (its published CSV): a row for each prompt and language."""
    for number, row in _csv(file):
        with _row_of(file, number):
            key, language = row["ID"], row["target_language"]
            yield Published(
                id=f"sealsbench:{key}:{language}",
                language=language,
                harmful=_label(row["label"]),
                text=row["prompt"],
                parallel_id=f"sealsbench:{key}",
            )


def _lines(file: File) -> Iterator[Published]:
    """One prompt a CSV row and no header, as XSafety (arXiv:2310.00905) is published."""
    if file.language is None or file.harmful is None:
        raise DatasetRefused(f"`{file.name}` says neither language nor label; give both")
    for number, cells in enumerate(csv.reader(io.StringIO(_text(file))), start=1):
        if cells and cells[0].strip():
            key = f"{file.name}:{file.language}:{number}"
            yield Published(key, file.language, file.harmful, cells[0])


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "recal": _recal,
        "rows": _rows,
        "polyrefuse": _polyrefuse,
        "multijail": _multijail,
        "xstest": _xstest,
        "sealsbench": _sealsbench,
        "lines": _lines,
    }
)
"""Every layout by the name that the command line takes."""


@contextmanager
def _row_of(file: File, number: int) -> Iterator[None]:
    """Turns what goes wrong inside one row into an error without its text."""
    try:
        yield
    except KeyError as error:
        raise DatasetRefused(f"`{file.name}` row {number}: no field `{error.args[0]}`") from None
    except (AttributeError, TypeError, ValueError):
        raise DatasetRefused(
            f"`{file.name}` row {number}: a field does not hold what this layout has there"
        ) from None


def _label(name: str) -> bool:
    found = _LABELS.get(name.strip().lower())
    if found is None:
        raise ValueError
    return found


def _split(name: Any) -> Split | None:
    if name is None or name == "":
        return None
    if name not in _SPLITS:
        raise ValueError
    return _SPLITS[name]


def _text(file: File) -> str:
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetRefused(f"`{file.name}` is not UTF-8 at byte {error.start}") from None


def _json(file: File) -> list[Any]:
    try:
        document = json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise DatasetRefused(f"`{file.name}` is no JSON at line {error.lineno}") from None
    if not isinstance(document, list):
        raise DatasetRefused(f"`{file.name}` holds no list")
    return document


def _json_lines(file: File) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                raise DatasetRefused(f"`{file.name}` row {number}: no JSON") from None
            yield number, row


def _csv(file: File) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(_text(file)), restkey="", restval="")
    try:
        for number, row in enumerate(reader, start=1):
            yield number, {k: v for k, v in row.items() if isinstance(v, str)}
    except csv.Error:
        raise DatasetRefused(f"`{file.name}` row {reader.line_num}: no CSV") from None


def _is_language(tag: Any) -> bool:
    try:
        return isinstance(tag, str) and bool(langcodes.tag_is_valid(tag))
    except ValueError:
        return False
