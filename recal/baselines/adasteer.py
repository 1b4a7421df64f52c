"""AdaSteer (arXiv:2504.09466) on our anchors: every block, with strengths that a prompt decides."""

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
from recal.maths.adasteer import Law, ReleasedLaws, fit_law, scaled_positions
from recal.maths.direction import difference_in_means
from recal.maths.metrics import auroc
from recal.maths.two_class import FloatArray, TwoClass, stacked
from recal.method import Examples, Questions
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.domain import Action
from services.generation.intervention import add
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope

REACHES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
"""α + β of a prompt that is surely harmful, in units of each block's difference in means. The
released laws reach 0.8 with Qwen2.5 and 0.08 with Gemma-2."""

_NAMES = {Scope.PROMPT: "adasteer", Scope.DECODE: "adasteer_decode"}


class AnchoredLaw(NamedTuple):
    """A law, and the two anchors between which it reads a prompt's position."""

    layer: int
    law: Law
    at_0: FloatArray
    """(d_model,) mean of one class of anchors: the harmless ones, where we fit the law."""
    at_100: FloatArray
    """(d_model,) mean of the other class."""

    def coefficients(self, states: FloatArray) -> FloatArray:
        """(n, d_model) states to (n,) coefficients."""
        positions = scaled_positions(states, self.at_0[None], self.at_100[None])
        return self.law.of(positions)


class BlockVector(NamedTuple):
    """The difference in means at one block."""

    direction: Tensor
    """(d_model,), unit norm; points to harmful, so that more of it means more refusal."""
    norm: float


@dataclass(frozen=True, eq=False)
class AdaSteer:
    """Adds (α + β)·(mean harmful - mean harmless) at every block.

    α and β are read from the untouched prompt, as the released two passes do. Deviations: pads are
    left alone; both vectors are harmful minus harmless (as arXiv:2606.01196 adapts it), so that the
    released projection of one on the other is one; laws are fitted anew for these anchors.
    """

    name: str
    title: str
    alpha: AnchoredLaw
    beta: AnchoredLaw
    vectors: Mapping[int, BlockVector]
    """By block."""
    scope: Scope
    strength: Strength | None = None
    """How the reach was chosen."""
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
        states = questions.at((self.alpha.layer, self.beta.layer))
        totals = self.alpha.coefficients(states[:, 0]) + self.beta.coefficients(states[:, 1])
        return [pushed_everywhere(self.vectors, float(total), self.scope) for total in totals]


def fit_adasteer(
    anchors: Activations,
    validation: Sequence[Prompt],
    *,
    languages: Sequence[str],
    development: Sequence[str],
    run: TrialRun,
    scope: Scope = Scope.PROMPT,
    reaches: Sequence[float] = REACHES,
) -> AdaSteer:
    """Fit vectors, laws and reach.

    Args:
        anchors: of labelled prompts at every block, among them the few target examples where the
            method is to have them.
        validation: labelled prompts on which the reach is chosen.
        languages: whose prompts are anchors.
        development: whose prompts choose the two blocks that positions are read at.
        run: answers and judges.
        scope: `prompt` as released; `decode` as in arXiv:2606.01196.
        reaches: α + β to choose from, rising.

    Raises:
        ValueError: a language lacks a class, or the anchors do not differ.
    """
    rows = {la: stacked(by_language(anchors, la, languages)) for la in anchors.layers}
    vectors = {layer: _vector(pair) for layer, pair in rows.items()}
    saturated = [pushed_everywhere(vectors, reach, scope) for reach in reaches]
    strength = choose_strength(reaches, saturated, validation, run=run)
    first, second = _two_best_layers(anchors, rows, development)
    half = strength.chosen / 2.0
    return AdaSteer(
        name=_NAMES[scope],
        title=f"AdaSteer ({_where(scope)})",
        alpha=_anchored(first, rows[first], half),
        beta=_anchored(second, rows[second], half),
        vectors=vectors,
        scope=scope,
        strength=strength,
    )


def released_adasteer(
    anchors: Activations,
    laws: ReleasedLaws,
    *,
    languages: Sequence[str],
    scope: Scope = Scope.PROMPT,
) -> AdaSteer:
    """The released laws as they are, on our anchors: what arXiv:2606.01196 compares with.

    Position 0 is the harmful mean and 100 the harmless one, as the released anchors lie.

    Args:
        anchors: of labelled prompts at every block.
        laws: of the backbone's family, from `recal.maths.adasteer.RELEASED`.
        languages: whose prompts are anchors.
        scope: `prompt` as released; `decode` as in arXiv:2606.01196.

    Raises:
        ValueError: a language lacks a class, or the backbone lacks a block that the laws read.
    """
    rows = {la: stacked(by_language(anchors, la, languages)) for la in anchors.layers}
    missing = {laws.alpha_layer, laws.beta_layer} - set(rows)
    if missing:
        raise ValueError(
            f"the released laws read blocks {sorted(missing)}, and {len(rows)} were collected; "
            "use `fit_adasteer` for another backbone"
        )
    means = {
        la: (pair.harmful.mean(axis=0), pair.harmless.mean(axis=0)) for la, pair in rows.items()
    }
    return AdaSteer(
        name=f"{_NAMES[scope]}_released",
        title=f"AdaSteer, released laws ({_where(scope)})",
        alpha=AnchoredLaw(laws.alpha_layer, laws.alpha, *means[laws.alpha_layer]),
        beta=AnchoredLaw(laws.beta_layer, laws.beta, *means[laws.beta_layer]),
        vectors={layer: _vector(pair) for layer, pair in rows.items()},
        scope=scope,
    )


def pushed_everywhere(
    vectors: Mapping[int, BlockVector], coefficient: float, scope: Scope
) -> Treatment:
    """The same multiple of every block's vector; none at all is no treatment."""
    if coefficient == 0.0:
        return UNTOUCHED
    return Treatment(
        Action.STEER,
        own=tuple(
            Move(layer, vector.direction, add(coefficient * vector.norm), scope)
            for layer, vector in vectors.items()
        ),
    )


def _where(scope: Scope) -> str:
    return "decode" if scope is Scope.DECODE else "prefill"


def _vector(pair: TwoClass) -> BlockVector:
    direction = difference_in_means(pair.harmful, pair.harmless)
    difference = pair.harmful.mean(axis=0) - pair.harmless.mean(axis=0)
    return BlockVector(
        torch.tensor(direction, dtype=torch.float32), float(np.linalg.norm(difference))
    )


def _two_best_layers(
    anchors: Activations, rows: Mapping[int, TwoClass], development: Sequence[str]
) -> tuple[int, int]:
    """The blocks at which positions tell the classes of other languages apart best; in order."""
    separation = {}
    for layer, pair in rows.items():
        unseen = stacked(by_language(anchors, layer, development))
        places = (scaled_positions(each, pair.harmless, pair.harmful) for each in unseen)
        separation[layer] = auroc(*places)
    best = sorted(separation, key=lambda layer: (-round(separation[layer], 4), layer))[:2]
    return min(best), max(best)


def _anchored(layer: int, pair: TwoClass, reach: float) -> AnchoredLaw:
    positions = TwoClass(*(scaled_positions(r, pair.harmless, pair.harmful) for r in pair))
    return AnchoredLaw(
        layer=layer,
        law=fit_law(positions, reach=reach),
        at_0=pair.harmless.mean(axis=0),
        at_100=pair.harmful.mean(axis=0),
    )
