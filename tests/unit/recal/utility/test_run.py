"""Tasks of the harness, from a file to the report, on a tiny model."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recal.cli import app
from recal.inputs import settings_of
from recal.utility.answers import Answers, Choice
from recal.utility.assembly import assemble
from recal.utility.page import most_changed, to_markdown, write
from recal.utility.questions import question_tasks
from recal.utility.run import UtilityPlan, UtilityReport, run
from services.backbone.load import Backbone
from services.domain import Action
from services.readout.artefact import save_calibration, save_readout
from tests.unit.recal.utility.tiny_line import (
    QUESTIONS,
    bundle_of,
    line_of,
    middle_of,
    scores_of,
    strong_readout,
    write_questions,
)

PROMPTS = [f"{q['question']}\nA. w\nB. x\nC. y\nD. z\nAnswer:" for q in QUESTIONS]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_questions(tmp_path_factory.mktemp("questions") / "q.jsonl")


@pytest.fixture(scope="module")
def threshold(backbone: Backbone) -> float:
    return middle_of(scores_of(backbone, PROMPTS))


@pytest.fixture(scope="module")
def report(backbone: Backbone, file: Path, threshold: float) -> UtilityReport:
    line = line_of(backbone, steer=threshold)
    return run(line, lambda: question_tasks(file), UtilityPlan())


def chosen(backbone: Backbone, actions: list[Action]) -> list[str]:
    """The likeliest letter of each question, without the harness."""
    answers = Answers(backbone, strong_readout(backbone).steering)
    letters = []
    for prompt, action in zip(PROMPTS, actions, strict=True):
        scored = answers.likelihoods([Choice(prompt, letter, action) for letter in "ABCD"])
        letters.append("ABCD"[max(range(4), key=lambda i: scored[i].log_probability)])
    return letters


def test_the_report_is_what_can_be_counted_without_the_harness(
    backbone: Backbone, report: UtilityReport, threshold: float
) -> None:
    fires = [score >= threshold for score in scores_of(backbone, PROMPTS)]
    untouched = chosen(backbone, [Action.NONE] * len(PROMPTS))
    gated = chosen(backbone, [Action.STEER if fired else Action.NONE for fired in fires])
    right = [q["answer"] for q in QUESTIONS]
    n = len(QUESTIONS)
    together = report.together
    share = lambda one, two: 100 * sum(a == b for a, b in zip(one, two, strict=True)) / n  # noqa: E731
    assert together.n == n
    assert together.untouched == pytest.approx(share(untouched, right))
    assert together.gated == pytest.approx(share(gated, right))
    assert together.agreement == pytest.approx(share(untouched, gated))
    assert together.fire_rate == pytest.approx(100 * sum(fires) / n)
    assert 0 < together.agreement < 100


def test_there_is_a_comparison_for_each_task_and_one_for_all(report: UtilityReport) -> None:
    assert [c.task for c in report.tasks] == ["questions_en", "questions_sw"]
    assert [c.n for c in report.tasks] == [16, 16]
    assert report.calibrations == ("en", "sw")
    assert [c.task for c in most_changed(report)][-1] == "all"
    assert len(most_changed(report, 1)) == 2


def test_a_gate_that_never_fires_changes_nothing(backbone: Backbone, file: Path) -> None:
    line = line_of(backbone, steer=1e6)
    together = run(line, lambda: question_tasks(file), UtilityPlan()).together
    assert (together.fire_rate, together.agreement, together.difference) == (0.0, 100.0, 0.0)
    assert together.low < 0 < together.high


def test_the_limit_and_the_examples_of_the_plan_are_kept(backbone: Backbone, file: Path) -> None:
    line = line_of(backbone, steer=1e6)
    steps: set[str] = set()
    found = run(
        line,
        lambda: question_tasks(file, ("en",)),
        UtilityPlan(n_examples=1, limit=3),
        report=lambda step, done, total: steps.add(step),
    )
    assert found.together.n == 3
    assert steps == {"untouched: answers", "gated: prompts decided"}
    decided = line.gate.decide_all(PROMPTS[:3])
    assert len(decided) == 3
    with_examples = [p for p in line.answers._likelihoods if p.prompt.count("Answer:") == 2]
    assert len(with_examples) == 12


def test_what_does_not_fit_is_left_out_and_when_nothing_does_that_is_said(
    backbone: Backbone, tmp_path: Path
) -> None:
    questions = [QUESTIONS[0], QUESTIONS[1] | {"question": "how long? " * 40}]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, questions)))
    line = line_of(backbone, steer=1e6)
    found = run(line, lambda: question_tasks(path), UtilityPlan())
    assert (found.together.n, found.together.n_too_long) == (1, 1)
    assert "Left out: 1 questions" in to_markdown(found)
    path.write_text(json.dumps(questions[1]))
    with pytest.raises(ValueError, match="fits the context"):
        run(line, lambda: question_tasks(path), UtilityPlan())


def test_a_task_that_the_harness_does_not_have_is_named(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="mmlu_of_dreams"):
        run(line_of(backbone, steer=0.0), lambda: ["mmlu_of_dreams"], UtilityPlan())


def test_what_is_written_holds_numbers_and_no_question(
    report: UtilityReport, tmp_path: Path
) -> None:
    write(report, tmp_path / "new")
    page = (tmp_path / "new" / "utility.md").read_text()
    document = json.loads((tmp_path / "new" / "utility.json").read_text())
    assert document["together"]["n"] == 32
    assert document["is_non_inferior"] is report.together.is_non_inferior
    assert "| questions_sw | 16 |" in page
    assert "> a tiny model" in page
    assert QUESTIONS[0]["question"] not in page + json.dumps(document)


def test_no_question_is_in_a_log(
    backbone: Backbone, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run(line_of(backbone, steer=0.0), lambda: question_tasks(file, ("en",)), UtilityPlan(limit=2))
    said = "".join(record.getMessage() for record in caplog.records)
    assert not [q for q in QUESTIONS if q["question"] in said]


@pytest.mark.parametrize("plan", [{"n_examples": -1}, {"limit": 0}])
def test_a_plan_of_nothing_is_refused(plan: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="give at least"):
        UtilityPlan(**plan)


@pytest.mark.parametrize("options", [[], ["--tasks", "mmlu", "--questions", "q.jsonl"]])
def test_the_command_wants_tasks_or_questions_and_not_both(options: list[str]) -> None:
    done = CliRunner().invoke(app, ["utility", *options])
    assert isinstance(done.exception, ValueError)
    assert "one of them" in str(done.exception)


def test_the_command_runs_a_file_on_saved_artefacts(
    backbone: Backbone, checkpoint: Path, file: Path, tmp_path: Path
) -> None:
    bundle = bundle_of(backbone, steer=1e6, release=None)
    saved = save_readout(bundle.readout, tmp_path / "readout")
    calibration = replace(bundle.calibrations["en"], readout_digest=saved.digest)
    save_calibration(calibration, tmp_path / "calibrations" / "en")
    options = ["--readout", tmp_path / "readout", "--calibrations", tmp_path / "calibrations"]
    options += ["--model", checkpoint, "--questions", file, "--languages", "en", "--limit", 2]
    done = CliRunner().invoke(app, ["utility", *map(str, options), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "out" / "utility.json").read_text())
    assert (document["together"]["n"], document["limit"]) == (2, 2)
    assert "questions_en" in done.output


def test_a_folder_without_calibrations_is_named(
    backbone: Backbone, checkpoint: Path, tmp_path: Path
) -> None:
    save_readout(bundle_of(backbone, steer=0.0, release=None).readout, tmp_path / "readout")
    with pytest.raises(ValueError, match="no calibration in"):
        assemble(settings_of(None, str(checkpoint)), tmp_path / "readout", tmp_path / "none")
