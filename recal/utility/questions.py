"""A task made from a file of multiple-choice questions, for the harness and without a hub."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from lm_eval.api.task import ConfigurableTask

_LETTERS = "ABCD"
_FIELDS = ("question", "choices", "answer")
# as the harness's own `mmlu` and `global_mmlu` put it
_TEXT = (
    "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\n"
    "D. {{choices[3]}}\nAnswer:"
)


def load_questions(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines (perhaps gzipped) with `question`, four `choices`, `answer` A to D.

    `lang` is the question's BCP 47 tag, English where it is not there.

    Raises:
        ValueError: a line is not of the form; the message gives its number, never its text.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            return [
                _question(f"`{path.name}` line {number}", line)
                for number, line in enumerate(lines, start=1)
                if line.strip()
            ]
    except (gzip.BadGzipFile, UnicodeDecodeError, EOFError) as error:
        raise ValueError(
            f"`{path.name}` cannot be read ({type(error).__name__}); give JSON lines, or the same "
            "with gzip as .gz"
        ) from None


def question_tasks(path: Path, languages: Sequence[str] = ()) -> list[ConfigurableTask]:
    """A task for each language of a file, named `questions_LANGUAGE`.

    Args:
        path: as `load_questions` reads it.
        languages: only these; all where none are given.

    Raises:
        ValueError: as `load_questions`, or a language has no question.
    """
    by_language: dict[str, list[dict[str, Any]]] = {}
    for question in load_questions(path):
        by_language.setdefault(question["lang"], []).append(question)
    wanted = tuple(languages) or tuple(sorted(by_language))
    if missing := [language for language in wanted if language not in by_language]:
        raise ValueError(
            f"`{path.name}` holds no question in `{missing[0]}`; it has "
            f"{', '.join(sorted(by_language)) or 'none at all'}"
        )
    return [_task(f"questions_{language}", by_language[language]) for language in wanted]


def _task(name: str, questions: list[dict[str, Any]]) -> ConfigurableTask:
    made = DatasetDict({"test": Dataset.from_list(questions)})
    return ConfigurableTask(
        config={
            "task": name,
            "custom_dataset": lambda **_: made,
            "test_split": "test",
            "fewshot_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": _TEXT,
            "doc_to_choice": list(_LETTERS),
            "doc_to_target": "answer",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": 1},
        }
    )


def _question(where: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        raise ValueError(f"{where} is no JSON object") from None
    if not isinstance(row, dict) or not set(_FIELDS) <= set(row):
        raise ValueError(f"{where} needs {', '.join(f'`{name}`' for name in _FIELDS)}")
    choices = row["choices"]
    if not isinstance(row["question"], str) or not row["question"].strip():
        raise ValueError(f"{where}: `question` is no text")
    is_texts = isinstance(choices, list) and all(isinstance(c, str) for c in choices)
    if not is_texts or len(choices) != len(_LETTERS):
        raise ValueError(f"{where}: `choices` must be {len(_LETTERS)} texts")
    if not isinstance(row["answer"], str) or row["answer"] not in list(_LETTERS):
        raise ValueError(f"{where}: `answer` must be one of {', '.join(_LETTERS)}")
    answer = _LETTERS.index(row["answer"])
    return {
        "question": row["question"],
        "choices": choices,
        "answer": answer,
        "lang": str(row.get("lang", "en")),
    }
