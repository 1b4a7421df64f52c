"""Where answers are withdrawn: by harmless answers alone, and at the rate that was asked for."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from recal.answer_threshold import AnswerPlan, find_answer_threshold
from recal.cli import app
from recal.prompts import Prompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.errors import ServiceError
from services.generation.monitor import monitor_of
from services.generation.offline import generate_texts, watched_texts
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.artefact import save_readout
from services.settings import load_settings
from tests.unit.services.conftest import backbones, checkpoints, qwen2  # noqa: F401
from tests.unit.services.tiny import tiny_readout

PLAN = AnswerPlan(false_stops=0.25, every=4, max_tokens=9)
SAMPLING = Sampling(max_tokens=9)


def prompts(n: int, *, language: str = "en", harmful: bool = False) -> list[Prompt]:
    return [
        Prompt(f"{language}{harmful}{i}", language, harmful, f"{language} {i * i}", "validation")
        for i in range(n)
    ]


def test_a_peak_is_the_highest_running_score_of_all_looks(qwen2: Backbone) -> None:  # noqa: F811
    readout = tiny_readout(qwen2)

    def peaks(every: int, max_tokens: int) -> list[float]:
        monitor = monitor_of(readout, threshold=math.inf, every=every)
        texts = [prompt.text for prompt in prompts(5)]
        sampling = Sampling(max_tokens=max_tokens)
        found = watched_texts(qwen2, texts, [UNTOUCHED] * 5, sampling, monitor, max_rows=3)
        unwatched = generate_texts(qwen2, texts, [UNTOUCHED] * 5, sampling)
        assert [each.text for each in found] == unwatched
        return [each.peak for each in found]

    # the running scores after 1, 2, … tokens, each looked at by itself, at the end
    ends = [peaks(100, n) for n in range(2, 10)]
    assert peaks(1, 9) == pytest.approx([max(each) for each in zip(*ends, strict=True)], rel=1e-4)
    assert peaks(100, 1) == [-math.inf] * 5


def test_answers_that_nobody_looks_at_have_no_peak(qwen2: Backbone) -> None:  # noqa: F811
    readout = tiny_readout(qwen2)
    steered = Treatment(Action.STEER, readout.steering)
    monitor = monitor_of(readout, threshold=math.inf, every=4)
    with pytest.raises(ValueError, match="are not looked at"):
        watched_texts(qwen2, ["hi"], [steered], SAMPLING, monitor)


def test_a_score_that_is_not_finite_is_no_threshold(qwen2: Backbone) -> None:  # noqa: F811
    readout = tiny_readout(qwen2)
    (part,) = readout.parts
    spoilt = replace(part, linear=replace(part.linear, weight=part.linear.weight * math.inf))
    monitor = monitor_of(replace(readout, parts=(spoilt,)), threshold=math.inf, every=4)
    with pytest.raises(ServiceError, match="not finite"):
        watched_texts(qwen2, ["hi"], [UNTOUCHED], SAMPLING, monitor)


def test_the_threshold_is_that_of_harmless_answers_in_source_languages_alone(
    qwen2: Backbone,  # noqa: F811
) -> None:
    readout = tiny_readout(qwen2)  # of English
    harmless = prompts(7)
    others = [*prompts(9, harmful=True), *prompts(9, language="sw")]
    found = find_answer_threshold(qwen2, readout, [*harmless, *others], PLAN)
    monitor = monitor_of(readout, threshold=math.inf, every=4)
    texts = [prompt.text for prompt in harmless]
    answers = watched_texts(qwen2, texts, [UNTOUCHED] * 7, SAMPLING, monitor)
    peaks = sorted(answer.peak for answer in answers)
    # the sixth of seven: a new one is the eighth, and at most two in eight lie above it
    assert found.threshold == math.nextafter(peaks[5], math.inf)
    assert (found.n_answers, found.above) == (7, {"en": 1 / 7})


def test_too_few_answers_for_a_rate_are_no_threshold(qwen2: Backbone) -> None:  # noqa: F811
    few = [*prompts(2), *prompts(50, harmful=True)]
    with pytest.raises(ValueError, match=r"0\.25 needs 3 harmless prompts of en, and there are 2"):
        find_answer_threshold(qwen2, tiny_readout(qwen2), few, PLAN)


@pytest.mark.parametrize("bad", [0.0, 1.0])
def test_a_rate_lies_between_none_and_all(bad: float) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        AnswerPlan(false_stops=bad)


def test_the_command_prints_settings_that_can_be_used(
    checkpoints: dict[str, Path],  # noqa: F811
    qwen2: Backbone,  # noqa: F811
    tmp_path: Path,
) -> None:
    saved = save_readout(tiny_readout(qwen2), tmp_path / "readout")
    lines = [json.dumps(asdict(prompt)) for prompt in prompts(7)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    options = ["--prompts", str(tmp_path / "prompts.jsonl"), "--model", str(checkpoints["qwen2"])]
    options += ["--readout", str(tmp_path / "readout"), "--false-stops", "0.25"]
    done = CliRunner().invoke(app, ["answer-threshold", *options, "--every", "4"])
    assert done.exit_code == 0, done.output
    start = done.output.index("generation:")
    assert "7 answers to harmless `validation` prompts in en" in done.output[:start]
    (tmp_path / "recal.yaml").write_text(done.output[start:], encoding="utf-8")
    monitor = load_settings(tmp_path / "recal.yaml").generation.monitor
    assert monitor is not None
    assert (list(monitor.thresholds), monitor.every) == ([saved.digest[:12]], 4)
    assert yaml.safe_load(done.output[start:])["generation"]["monitor"]["every"] == 4
