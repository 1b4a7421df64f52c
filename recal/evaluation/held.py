"""Held-out prompts by language, and the draws of few-shot examples that methods get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from recal.collect import Activations
from recal.evaluation.arm import Arm
from recal.evaluation.report import OTHER
from recal.languages import ALL, tier_of
from recal.maths.two_class import BoolArray, FloatArray, TwoClass, checked_scores
from recal.method import Examples, Method, Questions
from recal.prompts import Prompt, draw
from recal.recalibrate import scores_of
from recal.scoring import Scorer
from services.readout.place import Place


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One language's held-out prompts, the harmful ones first."""

    language: str
    prompts: tuple[Prompt, ...]
    activations: Activations
    """Of these prompts, in this order."""

    @property
    def tier(self) -> str:
        """`high`, `mid`, `low` or `other`."""
        return tier_of(self.language) if self.language in ALL else OTHER

    @property
    def harmful(self) -> BoolArray:
        """(n,) the labels."""
        return np.array([p.harmful for p in self.prompts])

    def scores(self, readout: Scorer) -> TwoClass:
        """Scores by class.

        Raises:
            ValueError: a class is missing, or a score is not finite.
        """
        found = scores_of(readout, self.activations, self.language)
        return TwoClass(
            checked_scores(f"harmful scores of `{self.language}`", found.harmful),
            checked_scores(f"harmless scores of `{self.language}`", found.harmless),
        )

    def questions(self, method: Method) -> Questions:
        """The prompts as the method may see them."""
        return Questions(
            language=self.language,
            ids=tuple(p.id for p in self.prompts),
            texts=tuple(p.text for p in self.prompts),
            residuals=cache(self._at),
            labels=self.harmful if method.sees_labels else None,
        )

    def _at(self, place: Place) -> FloatArray:
        return self.activations.at(place.layer, reading=place.reading)


def held_out(test: Activations, languages: Sequence[str]) -> tuple[HeldOut, ...]:
    """Each language's prompts, the harmful ones first, as `scores_of` orders scores."""
    found = []
    for language in languages:
        rows = [i for i, p in enumerate(test.prompts) if p.language == language]
        rows.sort(key=lambda row: not test.prompts[row].harmful)
        part = rows_of(test, rows)
        found.append(HeldOut(language, part.prompts, part))
    return tuple(found)


class Deck:
    """Draws of few-shot examples from the calibration pool."""

    def __init__(self, pool: Activations, languages: Sequence[str]) -> None:
        """Draw for these languages alone."""
        self._pool = pool
        self._prompts = [p for p in pool.prompts if p.language in languages]
        self._rows = {id(p): row for row, p in enumerate(pool.prompts)}
        self._dealt: dict[tuple[int, int], Examples] = {}

    def deal(self, k: int, number: int) -> Examples:
        """The examples of one draw; of the same draw a larger k keeps what a smaller one took.

        Raises:
            ValueError: a language has fewer than k prompts of a class.
        """
        if (k, number) not in self._dealt:
            drawn = draw(self._prompts, k, number=number)
            rows = [self._rows[id(p)] for p in drawn]
            self._dealt[k, number] = Examples(k, number, rows_of(self._pool, rows))
        return self._dealt[k, number]

    def examples(self, arm: Arm, language: str, number: int) -> Examples | None:
        """What an arm is given in a language; None where examples decide nothing."""
        return self.deal(arm.k, number) if arm.method.needs_examples(language) else None


def rows_of(activations: Activations, rows: Sequence[int]) -> Activations:
    """Some of the prompts with their residuals, in the given order."""
    return activations.subset(rows)


def source_numbers(
    parts: Sequence[HeldOut], *, harmful: bool
) -> Mapping[str, npt.NDArray[np.int64]]:
    """A number for each source prompt of one class, the same in every language, by language."""
    numbers: dict[str, int] = {}
    found = {}
    for part in parts:
        ids = [p.id for p in part.prompts if p.harmful == harmful]
        found[part.language] = np.array([numbers.setdefault(i, len(numbers)) for i in ids])
    return found
