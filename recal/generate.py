"""Texts of prompts under actions or treatments, through the decode loop that serving uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recal.kept_texts import KeptTexts
from recal.maths.two_class import FloatArray
from recal.prompts import Prompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.offline import first_token_logits, generate_texts
from services.generation.treatment import Treatment
from services.readout.bundle import Steering

DEFAULT_SAMPLING = Sampling(max_tokens=48)
"""Greedy, and long enough to see whether an answer refuses."""


class Generator:
    """One backbone as a `recal.search.Generate` and as a `recal.trials.TreatedModel`."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        sampling: Sampling = DEFAULT_SAMPLING,
        max_rows: int = 64,
        kept: KeptTexts | None = None,
    ) -> None:
        """Generate with the whole backbone, `max_rows` prompts at once.

        Args:
            backbone: the model.
            sampling: the same for all texts.
            max_rows: prompts decoded together.
            kept: texts of earlier runs, which are not written again; new ones are added as they
                end.
        """
        self._kept = kept
        self._backbone = backbone
        self._sampling = sampling
        self._max_rows = max_rows

    def __call__(self, prompts: Sequence[Prompt], action: Action, steering: Steering) -> list[str]:
        """Texts of the prompts, all under `action`; errors as `texts`."""
        return self.texts(prompts, [Treatment(action, steering)] * len(prompts))

    def texts(
        self,
        prompts: Sequence[Prompt],
        treatments: Sequence[Treatment],
        *,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[str]:
        """Texts of the prompts, each under its own treatment.

        Raises:
            InvalidRequest: a prompt does not fit the context.
            ServiceError: the model's logits are not finite.
            ValueError: there is not one treatment for each prompt.
        """
        pairs = list(zip(prompts, treatments, strict=True))
        found = {
            i: text for i, each in enumerate(pairs) if (text := self._known(*each)) is not None
        }
        missing = [i for i in range(len(pairs)) if i not in found]
        n_known = len(found)

        def end(place: int, text: str) -> None:
            found[missing[place]] = text
            if self._kept is not None:
                self._kept.put(*pairs[missing[place]], self._sampling, text)

        report(n_known, len(pairs))
        generate_texts(
            self._backbone,
            [pairs[i][0].text for i in missing],
            [pairs[i][1] for i in missing],
            self._sampling,
            max_rows=self._max_rows,
            report=lambda done, total: report(n_known + done, len(pairs)),
            ended=end,
        )
        return [found[i] for i in range(len(pairs))]

    def has(self, prompt: Prompt, treatment: Treatment) -> bool:
        """Whether the text is kept from an earlier run."""
        return self._known(prompt, treatment) is not None

    def _known(self, prompt: Prompt, treatment: Treatment) -> str | None:
        return None if self._kept is None else self._kept.get(prompt, treatment, self._sampling)

    def first_token_logits(
        self, prompts: Sequence[Prompt], treatments: Sequence[Treatment]
    ) -> FloatArray:
        """(n, vocabulary): logits of the first new token, each under its own treatment."""
        found = first_token_logits(
            self._backbone, [p.text for p in prompts], treatments, max_rows=self._max_rows
        )
        return np.asarray(found.numpy(), dtype=np.float64)
