"""A text is kept when it ends, under all that decides it, and is for its owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recal.kept_texts import KeptTexts, Runs
from recal.prompts import Prompt
from services.domain import Action, Sampling
from services.generation.intervention import add
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope, Steering
from tests.unit.recal.synthetic import IDENTITY

PROMPT = Prompt("1", "sw", True, "siri ya swali", "test")
SAMPLING = Sampling(max_tokens=48)
RUNS = Runs(IDENTITY, torch.float32, "cpu")


EVERYWHERE = Move(2, torch.eye(4)[0], add(3.0), Scope.ALL)


def steer(axis: int = 0, coefficient: float = 3.0, layer: int = 2) -> Treatment:
    return Treatment(Action.STEER, Steering(torch.eye(4)[axis], layer, coefficient, 1.0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "answers.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[KeptTexts]:
    kept = KeptTexts(path, RUNS)
    yield kept
    kept.close()


def test_a_text_is_there_again_for_another_run_that_makes_the_same_treatment_anew(
    path: Path, opened: KeptTexts
) -> None:
    opened.put(PROMPT, steer(), SAMPLING, "jibu\nla pili “…”")
    again = KeptTexts(path, RUNS)
    assert again.get(PROMPT, steer(), SAMPLING) == "jibu\nla pili “…”"


def test_treatments_that_move_alike_share_a_text_whatever_they_are_meant_as(
    opened: KeptTexts,
) -> None:
    still = Treatment(Action.NONE, steer().steering)
    opened.put(PROMPT, UNTOUCHED, SAMPLING, "jibu")
    assert opened.get(PROMPT, still, SAMPLING) == "jibu"
    (move,) = steer().moves
    opened.put(PROMPT, steer(), SAMPLING, "hapana")
    assert opened.get(PROMPT, Treatment(Action.RELEASE, own=(move,)), SAMPLING) == "hapana"


@pytest.mark.parametrize(
    ("prompt", "treatment", "sampling"),
    [
        (replace(PROMPT, text="swali lingine"), steer(), SAMPLING),
        (PROMPT, UNTOUCHED, SAMPLING),
        (PROMPT, steer(axis=1), SAMPLING),
        (PROMPT, steer(layer=1), SAMPLING),
        (PROMPT, steer(coefficient=3.0000000001), SAMPLING),
        (
            PROMPT,
            Treatment(Action.STEER, own=(Move(2, torch.eye(4)[0], add(3.0), Scope.ALL),)),
            SAMPLING,
        ),
        (PROMPT, steer(), replace(SAMPLING, max_tokens=49)),
        (PROMPT, steer(), replace(SAMPLING, temperature=0.5, seed=1)),
    ],
)
def test_what_decides_a_text_keeps_it_apart(
    opened: KeptTexts, prompt: Prompt, treatment: Treatment, sampling: Sampling
) -> None:
    opened.put(PROMPT, steer(), SAMPLING, "jibu")
    assert opened.get(prompt, treatment, sampling) is None


@pytest.mark.parametrize(
    "runs",
    [
        Runs(replace(IDENTITY, weights_digest="f" * 64), torch.float32, "cpu"),
        Runs(replace(IDENTITY, chat_template_digest="f" * 64), torch.float32, "cpu"),
        Runs(IDENTITY, torch.bfloat16, "cpu"),
        Runs(IDENTITY, torch.float32, "cuda"),
    ],
)
def test_another_backbone_dtype_or_device_writes_its_own_text(
    path: Path, opened: KeptTexts, runs: Runs
) -> None:
    opened.put(PROMPT, steer(), SAMPLING, "jibu")
    assert KeptTexts(path, runs).get(PROMPT, steer(), SAMPLING) is None


def test_its_owner_alone_may_read_the_file_even_one_that_was_open_to_others(path: Path) -> None:
    KeptTexts(path, RUNS).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    KeptTexts(path, RUNS).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_prompt_stands_in_the_file(path: Path, opened: KeptTexts) -> None:
    opened.put(PROMPT, steer(), SAMPLING, "jibu")
    assert "swali" not in path.read_text(encoding="utf-8")


def test_of_a_run_that_was_killed_the_line_in_flight_alone_is_lost(path: Path) -> None:
    first = KeptTexts(path, RUNS)
    first.put(PROMPT, UNTOUCHED, SAMPLING, "jibu")
    first.put(PROMPT, steer(), SAMPLING, "hapana")
    path.write_bytes(path.read_bytes()[:-9])
    second = KeptTexts(path, RUNS)
    assert second.get(PROMPT, UNTOUCHED, SAMPLING) == "jibu"
    assert second.get(PROMPT, steer(), SAMPLING) is None
    second.put(PROMPT, steer(), SAMPLING, "hapana")
    assert KeptTexts(path, RUNS).get(PROMPT, steer(), SAMPLING) == "hapana"


@pytest.mark.parametrize("broken", ['{"key": 1}', "noise", "[]"])
def test_a_line_that_is_none_or_was_changed_is_refused(
    path: Path, opened: KeptTexts, broken: str
) -> None:
    opened.put(PROMPT, steer(), SAMPLING, "jibu")
    whole = path.read_text(encoding="utf-8")
    for content in (f"{whole}{broken}\n", whole + whole.replace("jibu", "hapana")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"line 2 of `.*` is no kept text") as told:
            KeptTexts(path, RUNS)
        assert "jibu" not in str(told.value)


def test_a_direction_whose_place_in_memory_is_used_again_is_not_taken_for_another(
    opened: KeptTexts,
) -> None:
    for axis in range(4):
        opened.put(PROMPT, steer(axis), SAMPLING, f"jibu {axis}")
    assert [opened.get(PROMPT, steer(axis), SAMPLING) for axis in range(4)] == [
        f"jibu {axis}" for axis in range(4)
    ]
