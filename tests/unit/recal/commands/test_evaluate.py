"""`recal evaluate` refuses what cannot correct its rates before it loads a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.commands.evaluate import evaluate
from recal.judge.validation import JudgeValidation, save_validation
from recal.maths.agreement import Agreement


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    path = tmp_path / "validation.json"
    counts = {"sw": Agreement(70, 10, 8, 72)}
    save_validation(JudgeValidation("phrases", "d" * 64, counts, {"sw": 0}), path)
    return path


def test_a_validation_of_another_judge_is_refused(validation: Path) -> None:
    with pytest.raises(ValueError, match="validates `phrases`, and the judge is `organism`"):
        evaluate(judge="organism", judge_validation=validation)


def test_measured_and_stated_errors_are_not_taken_together(validation: Path) -> None:
    with pytest.raises(ValueError, match="give one or the other"):
        evaluate(judge_validation=validation, sensitivity=0.9, specificity=0.9)


def test_one_stated_error_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        evaluate(specificity=0.9)
