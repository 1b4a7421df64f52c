"""Texts of prompts, those of an earlier run among them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recal.generate import Generator
from recal.kept_texts import KeptTexts, Runs
from recal.prompts import Prompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.offline import generate_texts
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Steering
from tests.unit.services.conftest import backbones, checkpoints, qwen2  # noqa: F401

PROMPTS = [Prompt(str(i), "en", False, text, "test") for i, text in enumerate(("hi", "a b c", "d"))]
SAMPLING = Sampling(max_tokens=6)


def generator(backbone: Backbone, path: Path | None = None) -> Generator:
    kept = None
    if path is not None:
        kept = KeptTexts(path, Runs(backbone.identity, backbone.model.dtype, "cpu"))
    return Generator(backbone, sampling=SAMPLING, max_rows=2, kept=kept)


def plain(backbone: Backbone, treatments: list[Treatment]) -> list[str]:
    return generate_texts(backbone, [p.text for p in PROMPTS], treatments, SAMPLING)


def steer() -> Treatment:
    direction = torch.nn.functional.one_hot(torch.tensor(3), 32).float()
    return Treatment(Action.STEER, Steering(direction, 1, 40.0, 1.0))


def test_texts_are_the_same_kept_or_not(qwen2: Backbone, tmp_path: Path) -> None:  # noqa: F811
    treatments = [UNTOUCHED, steer(), UNTOUCHED]
    expected = plain(qwen2, treatments)
    assert generator(qwen2).texts(PROMPTS, treatments) == expected
    for _ in range(2):
        found = generator(qwen2, tmp_path / "a.jsonl").texts(PROMPTS, treatments)
        assert found == expected


def test_what_is_kept_is_not_written_again(qwen2: Backbone, tmp_path: Path) -> None:  # noqa: F811
    first = generator(qwen2, tmp_path / "a.jsonl")
    first.texts(PROMPTS[:2], [UNTOUCHED] * 2)
    again, told = generator(qwen2, tmp_path / "a.jsonl"), list[tuple[int, int]]()
    assert [again.has(prompt, UNTOUCHED) for prompt in PROMPTS] == [True, True, False]
    assert not again.has(PROMPTS[0], steer())
    again.texts(PROMPTS, [UNTOUCHED] * 3, report=lambda *count: told.append(count))
    assert (told[0], told[-1]) == ((2, 3), (3, 3))
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3


def test_texts_that_ended_before_a_run_was_stopped_are_kept(
    qwen2: Backbone,  # noqa: F811
    tmp_path: Path,
) -> None:
    ended: list[int] = []

    def stop(done: int, total: int) -> None:
        ended.append(done)
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator(qwen2, tmp_path / "a.jsonl").texts(PROMPTS, [UNTOUCHED] * 3, report=stop)
    again = generator(qwen2, tmp_path / "a.jsonl")
    assert 0 < ended[-1] < 3
    assert sum(again.has(prompt, UNTOUCHED) for prompt in PROMPTS) == ended[-1]


def test_without_a_file_nothing_is_kept(qwen2: Backbone) -> None:  # noqa: F811
    mine = generator(qwen2)
    mine.texts(PROMPTS, [UNTOUCHED] * 3)
    assert not mine.has(PROMPTS[0], UNTOUCHED)
