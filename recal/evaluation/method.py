"""What is compared: a method turns one language's prompts into one treatment for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from recal.collect import Activations
from recal.maths.two_class import BoolArray, FloatArray
from services.generation.treatment import Treatment
from services.readout.bundle import Readout, Thresholds


@dataclass(frozen=True, eq=False)
class Questions:
    """One language's held-out prompts, as a method may see them."""

    language: str
    """BCP 47 tag; known here, while over gRPC language identification names it."""
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    scores: FloatArray
    """(n,), of the method's own readout."""
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


@dataclass(frozen=True, eq=False)
class Examples:
    """One draw of few-shot examples, of every language that is evaluated."""

    k: int
    """Examples per class and language."""
    draw: int
    """Number of the draw, from 1; all methods get the same examples in the same draw."""
    activations: Activations


class Method(Protocol):
    """A way to treat prompts; a new one is a class and a line in `recal.evaluation.catalogue`."""

    @property
    def name(self) -> str:
        """What the command line and files call it."""

    @property
    def title(self) -> str:
        """What people read."""

    @property
    def readout(self) -> Readout:
        """Whose scores it is given, and whose steering it uses."""

    @property
    def sees_labels(self) -> bool:
        """True for a bound that cannot be deployed: it is given the true labels."""

    def needs_examples(self, language: str) -> bool:
        """Whether the language's few-shot examples decide anything; if so, it is drawn anew."""

    def treat(self, questions: Questions, examples: Examples | None) -> Sequence[Treatment]:
        """One treatment for each prompt.

        Args:
            questions: the held-out prompts of one language.
            examples: of this draw; None where `needs_examples` is false.

        Raises:
            ValueError: what it needs is missing, in words.
        """


@runtime_checkable
class Thresholded(Method, Protocol):
    """A method whose decision is a threshold, which pictures show and many draws can be made of."""

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """The language's operating point in this draw.

        Raises:
            ValueError: as `treat`.
        """


@dataclass(frozen=True, eq=False)
class Arm:
    """A method at one k: what a row of the report shows."""

    method: Method
    k: int
    """Examples per class; 0 for a method that needs none anywhere."""

    @property
    def key(self) -> str:
        """What files call it, e.g. `recal@4`."""
        return f"{self.method.name}@{self.k}" if self.k else self.method.name

    @property
    def title(self) -> str:
        """What people read, e.g. `Recal, k = 4`."""
        return f"{self.method.title}, k = {self.k}" if self.k else self.method.title

    def k_of(self, language: str) -> int:
        """Examples per class that this language's decision rests on."""
        return self.k if self.method.needs_examples(language) else 0


def arms_of(
    methods: Sequence[Method], ks: Sequence[int], languages: Sequence[str]
) -> tuple[Arm, ...]:
    """Every method, at every k where examples matter in one of the languages.

    Raises:
        ValueError: a method needs examples and `k` is below 1, or two methods share a name.
    """
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the method(s) {', '.join(twice)} are named twice; name each once")
    arms: list[Arm] = []
    for method in methods:
        if not any(method.needs_examples(language) for language in languages):
            arms.append(Arm(method, 0))
            continue
        if not ks or min(ks) < 1:
            raise ValueError(
                f"`k` is {min(ks) if ks else 'not given'}, but `{method.name}` needs examples of "
                "each class; give k of at least 1"
            )
        arms += [Arm(method, k) for k in sorted(set(ks))]
    return tuple(arms)
