"""Texts are written once for each prompt and treatment, in chunks that tell how long it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recal.evaluation.answers import AnswerBook, Watch, Work, sameness
from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.recal.evaluation.stage import Writer, readout
from tests.unit.recal.treated import LiteralJudge

STEERING = readout().steering
PROMPTS = [Prompt(f"{i}", "sw", True, f"prompt {i}", "test") for i in range(3)]


def steer() -> Treatment:
    return Treatment(Action.STEER, STEERING)


def test_treatments_that_write_the_same_text_are_the_same_whoever_made_them() -> None:
    assert sameness(steer()) == sameness(steer())
    assert sameness(UNTOUCHED) == sameness(Treatment(Action.NONE, STEERING))


def test_another_action_or_steering_is_another_treatment() -> None:
    weaker = Treatment(Action.STEER, replace(STEERING, coefficient=0.1))
    kinds = {sameness(t) for t in (steer(), weaker, Treatment(Action.RELEASE, STEERING), UNTOUCHED)}
    assert len(kinds) == 4


def test_a_text_is_written_once_however_often_it_is_needed() -> None:
    writer = Writer()
    book = AnswerBook(writer, LiteralJudge())
    for _ in range(5):
        book.need(PROMPTS, [steer(), UNTOUCHED, steer()])
    book.need(PROMPTS[:1], [UNTOUCHED])
    assert book.write_all(Watch()) == Work(n_answers=16, n_texts=4)
    assert len(writer.pairs) == 4
    judged = book.of(PROMPTS, [steer(), UNTOUCHED, steer()])
    assert [j.refused for j in judged] == [True, False, True]


def test_nothing_is_written_twice_over_two_rounds() -> None:
    writer = Writer()
    book = AnswerBook(writer, LiteralJudge())
    book.need(PROMPTS, [steer()] * 3)
    book.write_all(Watch())
    book.need(PROMPTS, [steer()] * 3)
    assert book.write_all(Watch()).n_texts == 0
    assert len(writer.pairs) == 3


def test_the_same_text_in_another_language_is_another_prompt() -> None:
    book = AnswerBook(Writer(), LiteralJudge())
    book.need([PROMPTS[0], replace(PROMPTS[0], language="yo")], [steer()] * 2)
    assert book.write_all(Watch()).n_texts == 2


def test_progress_begins_with_the_work_and_an_estimate_and_ends_with_all() -> None:
    told: list[tuple[str, object]] = []
    watch = Watch(
        planned=lambda work: told.append(("planned", work.n_texts)),
        expected=lambda seconds: told.append(("expected", seconds >= 0)),
        written=lambda done, total: told.append(("written", (done, total))),
    )
    many = [Prompt(f"{i}", "sw", True, f"prompt {i}", "test") for i in range(700)]
    book = AnswerBook(Writer(), LiteralJudge())
    book.need(many, [steer()] * 700)
    book.write_all(watch)
    assert told[0] == ("planned", 700)
    assert told[1:3] == [("written", (64, 700)), ("expected", True)]
    assert told[3:] == [("written", (576, 700)), ("written", (700, 700))]


def test_a_method_must_treat_every_prompt() -> None:
    with pytest.raises(ValueError, match="2 treatments for 3 prompts"):
        AnswerBook(Writer(), LiteralJudge()).need(PROMPTS, [steer()] * 2)


def test_kept_texts_come_first_and_the_time_is_told_by_those_that_are_written() -> None:
    told: list[tuple[str, object]] = []
    watch = Watch(
        planned=lambda work: told.append(("planned", work)),
        expected=lambda seconds: told.append(("expected", seconds >= 0)),
        written=lambda done, total: told.append(("written", (done, total))),
    )
    writer = Writer(kept=("1",))
    book = AnswerBook(writer, LiteralJudge())
    book.need(PROMPTS, [steer()] * 3)
    assert book.write_all(watch) == Work(n_answers=3, n_texts=3, n_kept=1)
    assert [text for text, _ in writer.pairs] == ["prompt 1", "prompt 0", "prompt 2"]
    assert [each for each in told[1:] if each[0] == "written"] == [
        ("written", (1, 3)),
        ("written", (3, 3)),
    ]
    assert told[2][0] != "expected"
    assert [j.refused for j in book.of(PROMPTS, [steer()] * 3)] == [True] * 3


def test_where_every_text_is_kept_nothing_is_expected() -> None:
    told: list[str] = []
    watch = Watch(expected=lambda seconds: told.append("expected"))
    book = AnswerBook(Writer(kept=("0", "1", "2")), LiteralJudge())
    book.need(PROMPTS, [steer()] * 3)
    assert book.write_all(watch).n_kept == 3
    assert told == []
