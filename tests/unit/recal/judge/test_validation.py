"""A judge held against people, by language, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recal.cli import app
from recal.judge.exchange import Exchange, Judgement
from recal.judge.labels import LabelledExchange, Labels
from recal.judge.table import rows_of
from recal.judge.validation import (
    JudgeValidation,
    load_validation,
    save_validation,
    validate,
)
from recal.maths.agreement import Agreement, Tally
from recal.maths.judge_error import corrected_difference


class FirstLetterJudge:
    """Takes every text that begins with N for a refusal, and with Z for noise."""

    name = "first-letter"

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return [Judgement(e.text[0] == "N", e.text[0] == "Z", None) for e in exchanges]


def labelled(text: str, refused: bool, language: str | None, n: int = 1) -> list[LabelledExchange]:
    return [LabelledExchange(Exchange("a prompt", text), refused, language)] * n


ROWS = (
    *labelled("No", True, "sw", 60),
    *labelled("Sorry", True, "sw", 20),
    *labelled("Now bake", False, "sw", 10),
    *labelled("Bake", False, "sw", 90),
    *labelled("Zzz", False, None, 5),
    *labelled("No", True, "am", 5),
)
LABELS = Labels(ROWS, "d" * 64)


@pytest.fixture
def validation() -> JudgeValidation:
    return validate(FirstLetterJudge(), LABELS, language_of=lambda prompt: "yo")


def test_counts_are_kept_by_the_prompts_language(validation: JudgeValidation) -> None:
    assert validation.languages == {
        "sw": Agreement(tp=60, fn=20, fp=10, tn=90),
        "yo": Agreement(tp=0, fn=0, fp=0, tn=5),
        "am": Agreement(tp=5, fn=0, fp=0, tn=0),
    }
    assert validation.degenerate == {"sw": 0, "yo": 5, "am": 0}
    assert validation.together == Agreement(tp=65, fn=20, fp=10, tn=95)


def test_a_prompt_that_nothing_names_is_of_an_unknown_language() -> None:
    found = validate(FirstLetterJudge(), LABELS, language_of=lambda prompt: None)
    assert set(found.languages) == {"sw", "am", "und"}


def test_a_language_with_enough_labels_has_its_own_error_rates(
    validation: JudgeValidation,
) -> None:
    assert validation.error_of("sw") == (Tally(60, 80), Tally(90, 100))
    everybody = (Tally(65, 85), Tally(95, 105))
    assert validation.error_of("am") == validation.error_of("ja") == everybody


def test_many_labels_of_one_kind_are_not_enough(validation: JudgeValidation) -> None:
    one_kind = replace(validation, languages=validation.languages | {"am": Agreement(200, 9, 0, 0)})
    assert not one_kind.has_own("am")
    alone = replace(validation, languages={"am": Agreement(200, 9, 0, 0)})
    with pytest.raises(ValueError, match="all of one kind"):
        alone.error_of("am")


def test_what_is_saved_corrects_a_difference_when_read_again(
    validation: JudgeValidation, tmp_path: Path
) -> None:
    save_validation(validation, tmp_path / "new" / "v.json")
    read = load_validation(tmp_path / "new" / "v.json", judge="first-letter")
    assert read == validation
    found = corrected_difference(Tally(50, 100), Tally(11, 100), read.error_of("sw"))
    assert found.estimate == pytest.approx(0.39 / 0.65)


def test_no_text_is_kept(validation: JudgeValidation) -> None:
    kept = json.dumps(validation.to_json())
    assert not [word for word in ("a prompt", "Sorry", "bake") if word in kept]


def test_another_judges_validation_corrects_nothing(
    validation: JudgeValidation, tmp_path: Path
) -> None:
    save_validation(validation, tmp_path / "v.json")
    with pytest.raises(ValueError, match="validates `first-letter`, and the judge is `phrases`"):
        load_validation(tmp_path / "v.json", judge="phrases")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no validation of a judge"),
        ("[]", "no validation of a judge"),
        ('{"schema_version": 1, "languages": {"sw": {"tp": 1}}}', "no validation of a judge"),
        (
            '{"schema_version": 9, "judge": "j", "labels_digest": "d", "languages": {}}',
            "of schema 9 or empty; this version reads 1",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_validation(tmp_path / "v.json", judge="j")


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    validate(
        FirstLetterJudge(), LABELS, language_of=lambda p: "yo", report=lambda *n: seen.append(n)
    )
    assert seen == [(64, 190), (128, 190), (190, 190)]


def test_the_table_has_a_row_for_each_language_and_says_whose_rates_correct_it(
    validation: JudgeValidation,
) -> None:
    rows = {row.language: row for row in rows_of(validation)}
    assert list(rows) == ["am", "sw", "yo", "all"]
    assert rows["sw"].sensitivity.startswith("75 (")
    assert (rows["sw"].rates, rows["am"].rates) == ("own", "all")
    assert (rows["yo"].sensitivity, rows["yo"].kappa, rows["yo"].noise) == ("–", "–", "5")


def test_the_command_prints_the_table_and_writes_the_rates(tmp_path: Path) -> None:
    rows = [("I'm sorry, but I can't help with that.", True), ("Take flour and bake it.", False)]
    lines = [
        json.dumps({"prompt": "How do I bake?", "text": t, "refused": r, "language": "en"})
        for t, r in rows * 3
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    arguments = ["judge", "validate", "--labels", str(tmp_path / "labels.jsonl")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "v.json")])
    assert done.exit_code == 0, done.output
    assert "100 (" in done.output
    read = load_validation(tmp_path / "v.json", judge="phrases")
    assert read.languages == {"en": Agreement(tp=3, fn=0, fp=0, tn=3)}


def test_a_file_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no validation `.*v\.json`; make one with `recal judge"):
        load_validation(tmp_path / "v.json", judge="j")
