"""AlphaSteer (arXiv:2506.07022): no gate, but a strength that vanishes on benign states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recal.baselines.strength import Strength, choose_strength
from recal.collect import Activations
from recal.fit import by_language
from recal.maths.alphasteer import amount_of, null_space_projector
from recal.maths.direction import difference_in_means
from recal.maths.two_class import FloatArray, TwoClass, stacked
from recal.method import Examples, Questions
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.domain import Action
from services.generation.intervention import add
from services.generation.treatment import Move, Treatment
from services.readout.bundle import Scope

STRENGTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""λ to choose from: of each block's difference in means, for a state with amount 1."""


class AlphaBlock(NamedTuple):
    """What one block does."""

    direction: Tensor
    """(d_model,), unit norm; toward refusal."""
    norm: float
    """Of the difference in means."""
    amount: FloatArray
    """(d_model,): a state h is moved by (amount·h) · norm · λ."""


@dataclass(frozen=True, eq=False)
class AlphaSteer:
    """Adds to every prompt token of some middle blocks what the last one of them asks for.

    Deviations: the states are those of the untouched model, where the released code reads those
    that earlier blocks have moved; the refusal direction is harmful minus harmless.
    """

    blocks: Mapping[int, AlphaBlock]
    strength: Strength
    name: str = "alphasteer"
    title: str = "AlphaSteer"
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        """False: it was fitted before."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """One for each prompt, in order.

        Raises:
            ValueError: a block that it reads was not collected.
        """
        if not questions.texts:
            return []
        states = questions.at(tuple(self.blocks))
        amounts = [
            states[:, place] @ block.amount for place, block in enumerate(self.blocks.values())
        ]
        return [
            _pushed(self.blocks, [self.strength.chosen * float(each) for each in row])
            for row in np.stack(amounts, axis=1)
        ]


def fit_alphasteer(
    anchors: Activations,
    validation: Sequence[Prompt],
    *,
    languages: Sequence[str],
    run: TrialRun,
    share: float = 0.5,
    strengths: Sequence[float] = STRENGTHS,
) -> AlphaSteer:
    """Fit every block's amount, and choose the strength.

    Args:
        anchors: of labelled prompts at every block. Benign prompts of the languages that the
            method is to leave alone belong among them.
        validation: labelled prompts on which the strength is chosen.
        languages: whose prompts are anchors.
        run: answers and judges.
        share: of the directions on which benign states are smallest.
        strengths: λ to choose from, rising.

    Raises:
        ValueError: a language lacks a class, or as `null_space_projector`.
    """
    n_layers = len(anchors.layers)
    middle = anchors.layers[n_layers // 3 : max(n_layers // 3 + 1, 3 * n_layers // 4)]
    rows = {la: stacked(by_language(anchors, la, languages)) for la in middle}
    blocks = {layer: _block(pair, share) for layer, pair in rows.items()}
    whole = [_pushed(blocks, [strength] * len(blocks)) for strength in strengths]
    return AlphaSteer(blocks, choose_strength(strengths, whole, validation, run=run))


def _block(pair: TwoClass, share: float) -> AlphaBlock:
    difference = pair.harmful.mean(axis=0) - pair.harmless.mean(axis=0)
    return AlphaBlock(
        direction=torch.tensor(
            difference_in_means(pair.harmful, pair.harmless), dtype=torch.float32
        ),
        norm=float(np.linalg.norm(difference)),
        amount=amount_of(pair.harmful, null_space_projector(pair.harmless, share=share)),
    )


def _pushed(blocks: Mapping[int, AlphaBlock], shares: Sequence[float]) -> Treatment:
    return Treatment(
        Action.STEER,
        own=tuple(
            Move(layer, block.direction, add(share * block.norm), Scope.PROMPT)
            for (layer, block), share in zip(blocks.items(), shares, strict=True)
        ),
    )
