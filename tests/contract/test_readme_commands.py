"""What the documents tell people to type exists: make targets, `recal` commands, linked files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from recal.cli import app

ROOT = Path(__file__).parents[2]
MUST_EXIST = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
DOCUMENTS = [ROOT / name for name in MUST_EXIST] + sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\w*)")
SHELLS = ("", "sh", "bash", "shell", "console")


class Found(NamedTuple):
    """A command line and where it stands."""

    where: str
    words: tuple[str, ...]


def fenced(text: str) -> Iterator[str]:
    """Lines of the blocks that are commands or their output."""
    fence = language = ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        if mark and not fence:
            fence, language = mark.groups()
        elif mark and line.strip() == fence:
            fence = ""
        elif fence and language in SHELLS:
            yield line


def command_lines(text: str, where: str) -> Iterator[Found]:
    """Lines of blocks that begin with `make` or `recal`, and inline code that does."""
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    for line in [*fenced(text), *inline]:
        typed = re.split(r"→|\s#\s|\s\|\s|&&|…|\.\.\.", line.strip().removeprefix("$ "))[0]
        typed = typed.removeprefix(".venv/bin/")
        if re.match(r"(make|recal) [a-z-]", typed):
            yield Found(where, tuple(shlex.split(typed.replace("'", "").replace('"', ""))))


def in_documents(program: str) -> list[Found]:
    texts = [(d.relative_to(ROOT).as_posix(), d) for d in DOCUMENTS if d.is_file()]
    lines = [f for where, d in texts for f in command_lines(d.read_text(encoding="utf-8"), where)]
    return sorted({found for found in lines if found.words[0] == program})


def in_code() -> list[Found]:
    """Commands that messages, docstrings and comments name."""
    found = set()
    for folder in ("services", "recal", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            where = path.relative_to(ROOT).as_posix()
            for typed in re.findall(r"`(recal [a-z][^`]*)`", path.read_text(encoding="utf-8")):
                found.add(Found(where, tuple(re.sub(r"\{.*?\}|…|\"", "x", typed).split())))
    return sorted(found)


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


@cache
def recal() -> Any:
    return get_command(app)


@cache
def has_help(path: tuple[str, ...]) -> bool:
    return CliRunner().invoke(app, [*path, "--help"]).exit_code == 0


def resolve(words: tuple[str, ...]) -> tuple[Any, list[str], tuple[str, ...]]:
    """The command that words name, its path, and the words after it."""
    command = recal()
    path: list[str] = []
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest[0]]
        path.append(rest[0])
        rest = rest[1:]
    return command, path, rest


def complaint(found: Found) -> str:
    """What is wrong with a `recal` command line; empty when nothing is."""
    command, path, rest = resolve(found.words)
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        return f"no command `{' '.join([*path, rest[0]])}`"
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = [w for w in rest if re.match(r"--?[a-z]", w) and w.partition("=")[0] not in known]
    if unknown:
        return f"`recal {' '.join(path)}` has no {', '.join(unknown)}"
    return "" if has_help(tuple(path)) else f"`recal {' '.join(path)} --help` ends with an error"


def heading_anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def broken_link(document: Path, target: str) -> bool:
    """True when a relative link leads nowhere, or to a heading that is not there."""
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    if not file.exists() or not file.is_relative_to(ROOT):
        return True
    return bool(anchor) and file.suffix == ".md" and anchor not in heading_anchors(file)


@pytest.mark.parametrize("name", MUST_EXIST)
def test_the_document_is_there(name: str) -> None:
    assert (ROOT / name).is_file(), f"{name} is missing"


def test_the_readme_names_the_two_commands_of_a_newcomer() -> None:
    typed = {found.words[:2] for found in in_documents("make") if found.where == "README.md"}
    assert {("make", "demo"), ("make", "test")} <= typed


def test_every_make_target_that_is_named_exists() -> None:
    named = {(f.where, word) for f in in_documents("make") for word in f.words[1:2]}
    assert {(where, word) for where, word in named if word not in targets()} == set()


def test_every_recal_command_of_the_documents_parses() -> None:
    found = in_documents("recal")
    assert found, "no `recal` command is named in any document"
    assert {(f.where, complaint(f)) for f in found if complaint(f)} == set()


def test_every_recal_command_that_a_message_tells_people_to_run_parses() -> None:
    found = in_code()
    assert found, "no `recal` command is named in the code"
    assert {(f.where, complaint(f)) for f in found if complaint(f)} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in relative if broken_link(document, link)] == []


def test_no_block_is_still_to_be_filled() -> None:
    assert "to be filled" not in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("recal foretell", "no command `foretell`"),
        ("recal ask --foretell x", "has no --foretell"),
        ("recal ask x --json", ""),
        ("recal --version", ""),
    ],
)
def test_a_wrong_command_line_would_be_noticed(typed: str, words: str) -> None:
    said = complaint(Found("here", tuple(typed.split())))
    assert words in said
    assert bool(words) == bool(said)


def test_a_broken_link_would_be_noticed() -> None:
    readme = ROOT / "README.md"
    assert broken_link(readme, "docs/no-such-file.md")
    assert broken_link(readme, "CONTRIBUTING.md#no-such-heading")
    assert broken_link(readme, "../outside.md")
