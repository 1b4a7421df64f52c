"""No function is longer than 60 lines, no file than 400."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, python_files

MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_FILE = 400


def long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            n_lines = node.end_lineno - node.lineno + 1
            if n_lines > MOST_LINES_OF_A_FUNCTION:
                yield f"{node.name}: {n_lines} lines"


@pytest.mark.parametrize("path", list(python_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_and_its_functions_are_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_LINES_OF_A_FILE
    assert list(long_functions(source)) == []


def test_a_long_function_is_noticed() -> None:
    source = "async def f():\n" + "    x = 1\n" * 60
    assert list(long_functions(source)) == ["f: 61 lines"]
