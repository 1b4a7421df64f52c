"""A gate that knows the labels: what remains lost with it is lost in acting, not in deciding."""

from __future__ import annotations

from dataclasses import dataclass

from recal.method import Examples, Questions
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Steering


@dataclass(frozen=True, eq=False)
class OracleGate:
    """STEER for harmful prompts, RELEASE for harmless ones."""

    steering: Steering
    name: str = "oracle"
    title: str = "oracle gate"
    sees_labels: bool = True

    def needs_examples(self, language: str) -> bool:
        """False: it is given every label."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """One for each prompt, in order."""
        by_label = {
            True: Treatment(Action.STEER, self.steering),
            False: Treatment(Action.RELEASE, self.steering),
        }
        return [by_label[bool(label)] for label in questions.harmful]
