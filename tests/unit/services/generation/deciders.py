"""Rows whose verdict their own prefill finds, and the same rows decided before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.gate.extract import residuals
from services.generation.choices import Choices, untouched_but
from services.generation.monitor import Monitor
from services.generation.row import Row
from services.generation.treatment import Treatment
from services.generation.undecided import NOTHING, ScoreLaw, Undecided
from services.readout.bundle import Readout
from tests.unit.services.generation.rows import PROMPTS

STEER, NONE, RELEASE, REFUSE = (
    action.strictness for action in (Action.STEER, Action.NONE, Action.RELEASE, Action.REFUSE)
)


class Scoring:
    """The frozen readout alone."""

    def __init__(
        self, readout: Readout, treatments: Sequence[Treatment], device: torch.device
    ) -> None:
        self._readout = readout
        self.places = readout.places
        self.choices = Choices(treatments, readout.places, device)

    def table(self, read: torch.Tensor) -> torch.Tensor:
        return self._readout.score(read)[:, None]


class Decider:
    """Makes rows whose verdict the prefill finds, and the same rows decided before it."""

    def __init__(
        self, backbone: Backbone, readout: Readout, monitor: Monitor | None = None
    ) -> None:
        self.backbone, self.readout, self.monitor = backbone, readout, monitor
        self._scorers: dict[tuple[Treatment, ...], Scoring] = {}
        self.prompts = [encode_prompt(backbone.tokenizer, prompt) for prompt in PROMPTS]
        read = residuals(backbone, self.prompts, places=readout.places)
        self.scores = readout.score(read).tolist()
        ordered = sorted(self.scores)
        middle = len(ordered) // 3
        self.release = (ordered[middle - 1] + ordered[middle]) / 2
        self.steer = (ordered[-middle - 1] + ordered[-middle]) / 2

    def action(self, score: float) -> Action:
        if score >= self.steer:
            return Action.STEER
        return Action.RELEASE if score <= self.release else Action.NONE

    def rows(self, choices: Sequence[Treatment], **law: object) -> list[Row]:
        return [self.row(index, choices, **law) for index in range(len(self.prompts))]

    def row(self, index: int, choices: Sequence[Treatment], **law: object) -> Row:
        given: dict[str, object] = {
            "laws": (ScoreLaw(0, self.steer, self.release, (STEER, NONE, RELEASE)),),
            "fixed": NOTHING,
            "broken": REFUSE,
            "settle": lambda scores: self.action(scores[0]),
        }
        undecided = Undecided(
            scorer=self._scorer(tuple(choices)),
            instruction_end=self.prompts[index].instruction_end,
            **given | law,
        )
        return self._row(index, undecided)

    def decided(self, choices: Sequence[Treatment]) -> list[Row]:
        codes = [self.action(score).strictness for score in self.scores]
        return [self._row(index, choices[code]) for index, code in enumerate(codes)]

    def _scorer(self, choices: tuple[Treatment, ...]) -> Scoring:
        if choices not in self._scorers:
            self._scorers[choices] = Scoring(self.readout, choices, self.backbone.device)
        return self._scorers[choices]

    def _row(self, index: int, treatment: Treatment | Undecided) -> Row:
        return Row(
            self.prompts[index].token_ids,
            treatment,
            Sampling(max_tokens=10 + index, temperature=index % 2, seed=index),
            tokenizer=self.backbone.tokenizer,
            ends=frozenset(),
            monitor=self.monitor,
        )


def choices_of(steered: Treatment, released: Treatment) -> tuple[Treatment, ...]:
    return untouched_but(steer=steered, release=released)
