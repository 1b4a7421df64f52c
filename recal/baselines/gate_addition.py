"""A gate that steers and never releases: what the release branch is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.maths.two_class import FloatArray
from recal.method import Examples, Questions, Thresholded
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Thresholds


@dataclass(frozen=True, eq=False)
class GateAddition:
    """Steers where the gate does; every other prompt is left alone."""

    gate: Thresholded
    name: str = "gate_addition"
    title: str = "Recal's gate, addition only"
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        """As the gate."""
        return self.gate.needs_examples(language)

    def is_frozen(self, language: str) -> bool:
        """As the gate."""
        return self.gate.is_frozen(language)

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        """Those of the gate."""
        return self.gate.scores(questions, examples)

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """Those of the gate; nothing is done below the one that steers."""
        return self.gate.thresholds(language, examples)

    def treat(self, questions: Questions, examples: Examples | None) -> Sequence[Treatment]:
        """One for each prompt, in order; errors as the gate's."""
        decided = self.gate.treat(questions, examples)
        return [each if each.action is Action.STEER else UNTOUCHED for each in decided]
