"""Tasks from a file of questions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from recal.utility.questions import load_questions, question_tasks
from tests.unit.recal.utility.tiny_line import QUESTIONS, write_questions

GOOD = {"question": "a secret?", "choices": ["1", "2", "3", "4"], "answer": "C"}


def test_there_is_a_task_for_each_language_in_the_harness_own_form(tmp_path: Path) -> None:
    tasks = question_tasks(write_questions(tmp_path / "q.jsonl"))
    assert [task.config.task for task in tasks] == ["questions_en", "questions_sw"]
    (doc, *_) = tasks[0].test_docs()
    question = QUESTIONS[0]
    assert tasks[0].doc_to_text(doc) == (f"{question['question']}\nA. w\nB. x\nC. y\nD. z\nAnswer:")
    assert tasks[0].doc_to_choice(doc)[tasks[0].doc_to_target(doc)] == question["answer"]


def test_only_the_languages_that_are_asked_for_become_tasks(tmp_path: Path) -> None:
    path = write_questions(tmp_path / "q.jsonl")
    assert [task.config.task for task in question_tasks(path, ("sw",))] == ["questions_sw"]
    with pytest.raises(ValueError, match="no question in `yo`; it has en, sw"):
        question_tasks(path, ("en", "yo"))


def test_a_gzipped_file_without_languages_is_english(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    assert load_questions(path) == [GOOD | {"answer": 2, "lang": "en"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{a secret", "line 2 is no JSON object"),
        (json.dumps({"question": "a secret?"}), "line 2 needs `question`, `choices`, `answer`"),
        (json.dumps(GOOD | {"question": " "}), "`question` is no text"),
        (json.dumps(GOOD | {"choices": ["a secret"]}), "`choices` must be 4 texts"),
        (json.dumps(GOOD | {"choices": [1, 2, 3, 4]}), "`choices` must be 4 texts"),
        (json.dumps(GOOD | {"answer": "E"}), "`answer` must be one of A, B, C, D"),
        (json.dumps(GOOD | {"answer": "AB"}), "`answer` must be one of A, B, C, D"),
        (json.dumps(GOOD | {"answer": 2}), "`answer` must be one of A, B, C, D"),
    ],
)
def test_a_wrong_line_is_named_by_its_number_without_its_text(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line)
    with pytest.raises(ValueError, match=message) as refused:
        load_questions(path)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(ValueError, match=r"`q\.jsonl\.gz` cannot be read"):
        load_questions(path)
