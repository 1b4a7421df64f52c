"""Nothing is left over: no unowned to-do, no name that says nothing, no path of one machine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.contract.tree import PACKAGES, ROOT, python_files

SAYS_NOTHING = frozenset(
    {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "handler"}
    | {"processor", "data", "info", "obj", "tmp"}
)
UNOWNED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XXX|HACK)\b(?!\((?:@|#)?[\w-]+\)| #\d+)")
MACHINE_PATH = re.compile(
    r"(?<![\w.}$>/~-])/(?:work|farm|home|root|Users|mnt|scratch)/\w|\b[A-Z]:\\\\?[A-Za-z]"
)
TEXTS = (".py", ".md", ".toml", ".yaml", ".yml", ".proto", ".sh", ".txt", ".json", ".cfg", "")


def tracked_texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [
        path
        for path in paths
        if path.is_file() and path.suffix in TEXTS and "weights" not in path.parts
    ]


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked_texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_every_to_do_has_an_owner_or_an_issue() -> None:
    assert found(UNOWNED) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert found(MACHINE_PATH) == []


@pytest.mark.parametrize(
    "path", list(python_files(*PACKAGES)), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert not SAYS_NOTHING & {path.stem, path.parent.name}


@pytest.mark.parametrize("path", list(python_files("tests")), ids=lambda path: path.stem)
def test_a_test_file_has_a_test(path: Path) -> None:
    if path.name.startswith("test_"):
        assert re.search(
            r"^(?:    )?(?:async )?def test_\w+|@given", path.read_text(), re.MULTILINE
        )


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNOWNED, "# TO" + "DO: later"),
        (UNOWNED, "# FIX" + "ME"),
        (MACHINE_PATH, "open('/ho" + "me/someone/model.bin')"),
        (MACHINE_PATH, "see /wo" + "rk/main"),
    ],
)
def test_a_leftover_is_noticed(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNOWNED, "# TO" + "DO(#12): later"),
        (MACHINE_PATH, "${PWD}/work/x and ./home/y and https://example.org/home/z"),
    ],
)
def test_what_is_no_leftover_is_left_alone(pattern: re.Pattern[str], line: str) -> None:
    assert not pattern.search(line)
