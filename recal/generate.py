"""Texts of prompts under one action, through the decode loop that serving uses."""

from __future__ import annotations

from collections.abc import Sequence

from recal.prompts import Prompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.offline import generate_texts
from services.generation.treatment import Treatment
from services.readout.bundle import Steering

DEFAULT_SAMPLING = Sampling(max_tokens=48)
"""Greedy, and long enough to see whether an answer refuses."""


class Generator:
    """One backbone's `recal.search.Generate`."""

    def __init__(
        self, backbone: Backbone, *, sampling: Sampling = DEFAULT_SAMPLING, max_rows: int = 48
    ) -> None:
        """Generate with the whole backbone, `max_rows` prompts at once."""
        self._backbone = backbone
        self._sampling = sampling
        self._max_rows = max_rows

    def __call__(self, prompts: Sequence[Prompt], action: Action, steering: Steering) -> list[str]:
        """Texts of the prompts, all under `action`.

        Raises:
            InvalidRequest: a prompt does not fit the context.
            ServiceError: the model's logits are not finite.
        """
        treatment = Treatment(action, steering)
        return generate_texts(
            self._backbone,
            [prompt.text for prompt in prompts],
            [treatment] * len(prompts),
            self._sampling,
            max_rows=self._max_rows,
        )
