"""A fake model that says what its treatment makes of it, in words that a fake judge reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recal.judge import Exchange, Judgement
from recal.prompts import Prompt
from services.generation.treatment import Treatment

Answer = Callable[[Prompt, Treatment], str]
"""`refuse`, `comply` or `noise`."""


class LiteralJudge:
    """Reads the fake model's own words."""

    name = "literal"

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        return [Judgement(e.text == "refuse", e.text == "noise", None) for e in exchanges]


class Says:
    """A `TreatedModel` by one function of a prompt and its treatment."""

    def __init__(self, answer: Answer, *, moved: Callable[[Treatment], float] = lambda t: 0.0):
        """Answer by `answer`; `moved` says how far a treatment moves the first token's logits."""
        self._answer, self._moved = answer, moved
        self.n_texts = 0

    def texts(
        self,
        prompts: Sequence[Prompt],
        treatments: Sequence[Treatment],
        *,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[str]:
        self.n_texts += len(prompts)
        report(len(prompts) // 2, len(prompts))
        return [self._answer(p, t) for p, t in zip(prompts, treatments, strict=True)]

    def first_token_logits(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]
    ) -> np.ndarray:
        return np.array([[self._moved(treatment), 0.0] for treatment in treatments])
