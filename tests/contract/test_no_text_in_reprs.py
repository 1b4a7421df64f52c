"""What people wrote does not show when an object is printed.

A failed call's arguments end up in Ray's logs, in an exception's words or in a debugger's trace;
whatever holds a text keeps it out of its own `repr`.
"""

import ast
from collections.abc import Iterator

import pytest

from services.domain import GateRequest, LanguageGuess
from tests.contract.tree import ROOT, python_files

TEXTS = {"prompt", "text", "completion", "routing_key", "prompt_ids", "token_ids", "foreign"}
OUR_OWN_WORDS = {"Phrase.text"}
"""Shipped with the package; no caller's."""


def fields_of(source: str) -> Iterator[tuple[str, ast.expr | None]]:
    """Every field of a dataclass that holds text, with what it is set to."""
    for kind in ast.walk(ast.parse(source)):
        if isinstance(kind, ast.ClassDef) and any(
            "dataclass" in ast.unparse(each) for each in kind.decorator_list
        ):
            for field in kind.body:
                if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) in TEXTS:
                    yield f"{kind.name}.{ast.unparse(field.target)}", field.value


def is_out_of_the_repr(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and any(
        each.arg == "repr" and ast.unparse(each.value) == "False" for each in value.keywords
    )


FIELDS = [
    pytest.param(value, id=f"{path.relative_to(ROOT)}:{name}")
    for path in python_files("services")
    for name, value in fields_of(path.read_text(encoding="utf-8"))
    if name not in OUR_OWN_WORDS
]


@pytest.mark.parametrize("value", FIELDS)
def test_a_field_that_holds_text_is_no_part_of_the_repr(value: ast.expr | None) -> None:
    assert is_out_of_the_repr(value)


def test_the_nouns_that_every_request_passes_through_are_looked_at() -> None:
    names = {str(each.id).rpartition(":")[2] for each in FIELDS}
    assert {"GateRequest.prompt", "TextChunk.text", "Ask.prompt"} <= names


def test_a_printed_request_shows_neither_its_prompt_nor_whose_it_is() -> None:
    asked = GateRequest("canary-7f3a", LanguageGuess("sw", 0.9), routing_key="user-b41c")
    assert "canary-7f3a" not in repr(asked)
    assert "user-b41c" not in repr(asked)
