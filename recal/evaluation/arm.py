"""An arm: a method at one k, which is a row of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recal.method import Method


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
