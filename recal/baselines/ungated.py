"""Methods that look at no score: nothing, or the same thing, is done to every prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recal.method import Examples, Questions
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Release, Steering


@dataclass(frozen=True, eq=False)
class Ungated:
    """One treatment for every prompt, whatever it asks."""

    name: str
    title: str
    treatment: Treatment
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        """False: there is nothing to decide."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """The same treatment for each prompt."""
        return [self.treatment] * len(questions.texts)


def untouched(name: str = "untouched") -> Ungated:
    """The model as it is: what every method must beat."""
    return Ungated(name, "untouched model", UNTOUCHED)


def ungated_addition(steering: Steering, name: str = "steer_all") -> Ungated:
    """Steering every prompt: what steering does where nobody decides."""
    return Ungated(name, "steer every prompt", Treatment(Action.STEER, steering))


def ungated_release(steering: Steering, name: str = "release_all") -> Ungated:
    """Releasing every prompt by the readout's own form."""
    return Ungated(name, "release every prompt", Treatment(Action.RELEASE, steering))


def ungated_ablation(steering: Steering, name: str = "ablate_all") -> Ungated:
    """Ablating the harmfulness direction for every prompt, as arXiv:2606.01196 releases.

    Whatever form the readout itself releases by.
    """
    ablating = replace(steering, release=Release())
    return Ungated(name, "ablate in every prompt", Treatment(Action.RELEASE, ablating))
