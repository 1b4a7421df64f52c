"""Methods that look at no score: nothing, or the same thing, is done to every prompt."""

from __future__ import annotations

from dataclasses import dataclass

from recal.evaluation.method import Examples, Questions
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Readout


@dataclass(frozen=True, eq=False)
class Ungated:
    """One action for every prompt, whatever it asks."""

    name: str
    title: str
    readout: Readout
    action: Action
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        """False: there is nothing to decide."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """The same treatment for each prompt."""
        return [Treatment(self.action, self.readout.steering)] * len(questions.texts)
