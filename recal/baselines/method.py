"""What a method is: prompts in, one treatment for each out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from recal.maths.two_class import FloatArray
from recal.prompts import Prompt
from services.domain import Action
from services.generation.treatment import Treatment


class Method(Protocol):
    """Ours, a baseline, the oracle: all that evaluation knows of them."""

    @property
    def name(self) -> str:
        """How tables call it."""

    def treatments(self, prompts: Sequence[Prompt]) -> list[Treatment]:
        """One for each prompt, in order. Only an oracle may look at `Prompt.harmful`."""


Decide = Callable[[Sequence[Prompt]], Sequence[Action]]
"""A gate: one action for each prompt."""

Read = Callable[[Sequence[Prompt], Sequence[int]], FloatArray]
"""(n, len(layers), d_model): states of prompts at decoder blocks of the untouched model."""
