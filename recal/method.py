"""What a method is: one language's prompts in, one treatment for each of them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from recal.collect import Activations
from recal.maths.two_class import BoolArray, FloatArray
from services.generation.treatment import Treatment
from services.readout.bundle import Thresholds
from services.readout.place import Place, Reading


@dataclass(frozen=True, eq=False)
class Questions:
    """One language's prompts, as a method may see them."""

    language: str
    """BCP 47 tag; known here, while over gRPC language identification names it."""
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    residuals: Callable[[Place], FloatArray]
    """(n, d_model) of the untouched model at a place; what a method's score is made of."""
    labels: BoolArray | None = None
    """(n,), True for harmful; only for a method that says that it sees them."""

    @property
    def harmful(self) -> BoolArray:
        """The labels.

        Raises:
            ValueError: the method does not say that it sees them.
        """
        if self.labels is None:
            raise ValueError("a method that does not declare `sees_labels` is given none")
        return self.labels

    def at(self, layers: Sequence[int], reading: Reading = "last") -> FloatArray:
        """(n, len(layers), d_model): one reading at several blocks.

        Raises:
            ValueError: a block or the reading was not collected.
        """
        return np.stack([self.residuals(Place(layer, reading)) for layer in layers], axis=1)


@dataclass(frozen=True, eq=False)
class Examples:
    """One draw of few-shot examples, of every language that is evaluated."""

    k: int
    """Examples per class and language."""
    draw: int
    """Number of the draw, from 1; all methods get the same examples in the same draw."""
    activations: Activations


class Method(Protocol):
    """Ours, a baseline, a bound: all that an evaluation knows of them.

    A new one is a class and a line in `recal.evaluation.catalogue`.
    """

    @property
    def name(self) -> str:
        """What the command line and files call it."""

    @property
    def title(self) -> str:
        """What people read."""

    @property
    def sees_labels(self) -> bool:
        """True for a bound that cannot be deployed: it is given the true labels."""

    def needs_examples(self, language: str) -> bool:
        """Whether the language's few-shot examples decide anything; if so, it is drawn anew."""

    def treat(self, questions: Questions, examples: Examples | None) -> Sequence[Treatment]:
        """One treatment for each prompt, in order.

        Args:
            questions: the held-out prompts of one language.
            examples: of this draw; None where `needs_examples` is false.

        Raises:
            ValueError: what it needs is missing, in words.
        """


@runtime_checkable
class Thresholded(Method, Protocol):
    """A method whose decision is a threshold, which pictures show and many draws can be made of."""

    def is_frozen(self, language: str) -> bool:
        """Whether its scores of a language are the frozen readout's, which `best` is a bound of.

        If not, its thresholds are of another unit, and no picture of frozen scores shows them.
        """

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        """(n,) what its thresholds are held against: its own, of this language and this draw.

        Raises:
            ValueError: as `treat`.
        """

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """The language's operating point in this draw.

        Raises:
            ValueError: as `treat`.
        """
