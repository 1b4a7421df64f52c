"""CAST (arXiv:2409.05907): a condition on the prompt's mean state, then a vector at some blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from recal.baselines.states import Span, span_means
from recal.baselines.strength import Strength, choose_strength
from recal.baselines.suffixes import SuffixPair
from recal.collect import Activations
from recal.maths.cast import (
    ConditionPoint,
    Variant,
    best_condition_point,
    contrastive_direction,
    similarities,
)
from recal.maths.two_class import FloatArray, TwoClass
from recal.method import Examples, Questions
from recal.prompts import Prompt
from recal.trials import TrialRun
from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.domain import Action
from services.generation.intervention import add
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope

_THRESHOLDS = np.linspace(0.0, 1.0, 1001)


@dataclass(frozen=True)
class CastPlan:
    """What is searched."""

    variant: Variant = "pca_pairwise"
    behaviour: Literal["suffixes", "prompts"] = "suffixes"
    """What the behaviour vector tells apart: beginnings of answers, as published; or harmful from
    harmless prompts, as arXiv:2606.01196 adapts it."""
    condition_layers: tuple[int, ...] | None = None
    """Blocks whose state may be the condition; None: all but the last."""
    strengths: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
    """In units of each block's mean state norm, rising; published: 1.5 raw at 32 blocks."""
    n_questions: int = 100
    """Prompts whose answers are begun with a refusal and with a compliance."""
    scope: Scope = Scope.ALL

    def ranges(self, n_layers: int) -> list[range]:
        """Runs of blocks for the behaviour; the published one is 15 to 23 of 32."""
        ends = {
            (n_layers // 3, 2 * n_layers // 3),
            (15 * n_layers // 32, 23 * n_layers // 32),
            (n_layers // 3, 3 * n_layers // 4),
            (n_layers // 2, n_layers // 2),
        }
        return [range(first, last + 1) for first, last in sorted(ends)]


class Behaviour(NamedTuple):
    """The vector that steers toward refusal, at each of a run of blocks."""

    layers: tuple[int, ...]
    treatment: Treatment
    strength: Strength


@dataclass(frozen=True, eq=False)
class Cast:
    """Steers every token of a prompt that meets the condition.

    Deviations: the condition is read and the vector added at a block's output, where both were
    fitted (the released code reads and adds one block input off); strengths are in units of each
    block's state norm; batches of many rows. The similarity's evenness is kept as it was published.
    """

    name: str
    title: str
    point: ConditionPoint
    condition: FloatArray
    """(d_model,), unit norm."""
    behaviour: Behaviour
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
        states = questions.at((self.point.layer,), "mean")[:, 0]
        met = self.point.met(similarities(states, self.condition))
        return [self.behaviour.treatment if each else UNTOUCHED for each in met]


def fit_cast(
    backbone: Backbone,
    examples: Activations,
    validation: Sequence[Prompt],
    *,
    suffixes: Mapping[str, Sequence[SuffixPair]],
    run: TrialRun,
    plan: CastPlan | None = None,
) -> Cast:
    """Fit condition and behaviour.

    Args:
        backbone: the model, for states of suffixes.
        examples: labelled prompts at every block, averaged over their tokens; among them the few
            target examples where the method is to have them. They give the condition's vector and
            its point.
        validation: labelled prompts on which blocks and strength of the behaviour are chosen.
        suffixes: by language; questions are taken of these languages.
        run: answers and judges.
        plan: what is searched.

    Raises:
        ValueError: the examples lack a class, or no language has suffixes.
    """
    chosen = plan if plan is not None else CastPlan()
    n_layers = len(backbone.blocks)
    layers = chosen.condition_layers or tuple(range(max(1, n_layers - 1)))
    vectors, point = _condition(examples, layers, chosen.variant)
    every = tuple(range(n_layers))
    if chosen.behaviour == "suffixes":
        pairs = _suffix_states(backbone, examples.prompts, suffixes, every, chosen)
    else:
        pairs = _prompt_states(examples, every)
    return Cast(
        name="cast" if chosen.behaviour == "suffixes" else "cast_adapted",
        title="CAST" if chosen.behaviour == "suffixes" else "CAST (adapted)",
        point=point,
        condition=vectors[point.layer],
        behaviour=_behaviour(pairs, validation, run, chosen),
    )


class _Pairs(NamedTuple):
    """Contrastive states: row i of one belongs to row i of the other."""

    positive: FloatArray
    """(n, layers, d_model) of refusal, or of harm."""
    negative: FloatArray


def _condition(
    examples: Activations, layers: Sequence[int], variant: Variant
) -> tuple[dict[int, FloatArray], ConditionPoint]:
    pairs = _prompt_states(examples, layers)
    vectors, by_layer = {}, {}
    for place, layer in enumerate(layers):
        vectors[layer] = contrastive_direction(
            pairs.positive[:, place], pairs.negative[:, place], variant
        )
        states = (examples.at(layer, reading="mean", harmful=label) for label in (True, False))
        by_layer[layer] = TwoClass(*(similarities(each, vectors[layer]) for each in states))
    return vectors, best_condition_point(by_layer, _THRESHOLDS)


def _prompt_states(examples: Activations, layers: Sequence[int]) -> _Pairs:
    """States of harmful and harmless prompts, paired within a language, in order."""
    rows: dict[str, tuple[list[int], list[int]]] = {}
    for row, prompt in enumerate(examples.prompts):
        harmful, harmless = rows.setdefault(prompt.language, ([], []))
        (harmful if prompt.harmful else harmless).append(row)
    pairs = [pair for both in rows.values() for pair in zip(*both, strict=False)]
    if not pairs:
        raise ValueError("examples of both classes in one language are needed for a condition")
    return _Pairs(*(_means(examples.subset(side), layers) for side in zip(*pairs, strict=True)))


def _means(examples: Activations, layers: Sequence[int]) -> FloatArray:
    """(n, len(layers), d_model): states averaged over the prompts' tokens."""
    return np.stack([examples.at(layer, reading="mean") for layer in layers], axis=1)


def _behaviour(
    pairs: _Pairs, validation: Sequence[Prompt], run: TrialRun, plan: CastPlan
) -> Behaviour:
    n_layers = pairs.positive.shape[1]
    pushes = {}
    for layer in range(n_layers):
        vector = contrastive_direction(
            pairs.positive[:, layer], pairs.negative[:, layer], plan.variant
        )
        norm = float(np.linalg.norm(pairs.negative[:, layer], axis=1).mean())
        pushes[layer] = (torch.tensor(vector, dtype=torch.float32), norm)
    found = []
    for layers in plan.ranges(n_layers):
        treatments = [
            Treatment(
                Action.STEER,
                own=tuple(
                    Move(layer, pushes[layer][0], add(strength * pushes[layer][1]), plan.scope)
                    for layer in layers
                ),
            )
            for strength in plan.strengths
        ]
        strength = choose_strength(plan.strengths, treatments, validation, run=run)
        treatment = treatments[plan.strengths.index(strength.chosen)]
        found.append(Behaviour(tuple(layers), treatment, strength))
    return max(found, key=lambda each: round(each.strength.efficacy, 3))


def _suffix_states(
    backbone: Backbone,
    examples: Sequence[Prompt],
    suffixes: Mapping[str, Sequence[SuffixPair]],
    layers: Sequence[int],
    plan: CastPlan,
) -> _Pairs:
    """States of refusals and of compliances, averaged over the suffix alone."""
    asked = [prompt for prompt in examples if suffixes.get(prompt.language)]
    if not asked:
        raise ValueError(
            f"none of {len(examples)} examples is of a language with suffixes "
            f"({', '.join(sorted(suffixes))}); give suffixes of theirs"
        )
    step = max(1, len(asked) // plan.n_questions)
    spans: tuple[list[Span], list[Span]] = ([], [])
    for number, prompt in enumerate(asked[::step][: plan.n_questions]):
        pairs = suffixes[prompt.language]
        question = encode(backbone.tokenizer, prompt.text)
        for found, suffix in zip(spans, pairs[number % len(pairs)], strict=True):
            ids = backbone.tokenizer(suffix, add_special_tokens=False)["input_ids"]
            found.append(Span([*question, *ids], first=len(question)))
    return _Pairs(*(span_means(backbone, each, layers) for each in spans))
