from __future__ import annotations

import pytest

from services.crash import whereabouts

CANARY = "canary-91d0"


def crash(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as raised:
        return raised


def test_a_crash_is_told_by_class_and_place_and_not_by_its_message():
    said = whereabouts(crash(ValueError(CANARY)))
    assert said.startswith("ValueError at ")
    assert said.endswith(" in crash")
    assert "test_crash.py:" in said
    assert CANARY not in said


def test_what_caused_it_is_told_as_well():
    said = whereabouts(crash(ValueError(CANARY), cause=crash(KeyError(CANARY))))
    assert ", caused by KeyError at " in said
    assert CANARY not in said


def test_causes_that_go_round_in_a_circle_are_told_once():
    first, second = crash(ValueError()), crash(KeyError())
    first.__cause__, second.__cause__ = second, first
    assert whereabouts(first).count("caused by") == 1


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY)])
def test_an_error_that_was_never_raised_has_no_place(error: Exception):
    assert whereabouts(error) == f"{type(error).__name__} at an unknown place"
