"""Where to act and how strongly: a search on high-resource validation prompts.

The window is narrow on small models: too strong an addition pushes the state off the data and the
text degenerates, so degenerate output is part of the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch

from recal.collect import Activations
from recal.fit import FitPlan, direction_at
from recal.judge import Judge, exchanges_of
from recal.prompts import Prompt, select
from services.domain import Action
from services.readout.bundle import Steering

_PAPERS_MULTIPLE = 1.0

Generate = Callable[[Sequence[Prompt], Action, Steering], list[str]]
"""Texts of prompts under one action with one steering."""


@dataclass(frozen=True)
class SearchPlan:
    """What is tried and what is rejected."""

    multiples: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    """λ: the coefficient in units of the gap g of each layer."""
    scopes: tuple[bool, ...] = (True, False)
    """Whether steering acts on new tokens too (the paper's) or on the last prompt token alone."""
    layers: tuple[int, ...] | None = None
    """Blocks to act at; None: from the first fifth of the depth to the last block but one."""
    max_degenerate: float = 0.02
    """Share of degenerate texts above which a candidate is rejected."""

    def n_trials(self, n_layers: int) -> int:
        """How many candidates there are in a model of n_layers blocks."""
        return len(self.layers_of(n_layers)) * len(self.scopes) * len(self.multiples)

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """The blocks to try in a model of n_layers blocks."""
        if self.layers is not None:
            return self.layers
        return tuple(range(max(1, n_layers // 5), n_layers - 1)) or (0,)


class Trial(NamedTuple):
    """One candidate and what it did to validation prompts."""

    layer: int
    decodes: bool
    """Whether steering acted on new tokens too."""
    multiple: float
    coefficient: float
    steered_harmful: float
    """Share of harmful prompts refused when steered."""
    steered_harmless: float
    """Share of harmless prompts refused when steered: what steering alone can induce."""
    released_harmless: float
    """Share of harmless prompts refused when released."""
    degenerate: float
    """Largest share of degenerate texts over the three."""

    @property
    def efficacy(self) -> float:
        """Does what it is told: steered prompts refuse, released harmless ones do not."""
        return (self.steered_harmful + self.steered_harmless - self.released_harmless) / 2


class Found(NamedTuple):
    """The chosen steering and every trial that it was chosen from."""

    steering: Steering
    chosen: Trial
    trials: tuple[Trial, ...]


def search(
    activations: Activations,
    validation: Sequence[Prompt],
    *,
    generate: Generate,
    judge: Judge,
    plan: SearchPlan,
    fit_plan: FitPlan,
    report: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Choose the acting layer and the coefficient.

    Of the candidates that stay under `max_degenerate` the one that acts best wins; among equals
    the strength nearest to the paper's λ = 1, then the paper's scope, then the latest layer. The
    weakest that does on high-resource prompts would leave others between answer and refusal.

    Raises:
        ValueError: validation prompts lack a class, or every candidate degenerates.
    """
    if not select(validation, harmful=True) or not select(validation, harmful=False):
        raise ValueError("validation prompts of both classes are needed to choose a coefficient")
    trials: list[Trial] = []
    steerings: list[Steering] = []
    for steering, multiple in _candidates(activations, plan, fit_plan):
        trial = _try(steering, multiple, validation, generate, judge)
        report(trial)
        trials.append(trial)
        steerings.append(steering)
    sound = [i for i, t in enumerate(trials) if t.degenerate <= plan.max_degenerate]
    if not sound:
        least = min(t.degenerate for t in trials)
        raise ValueError(
            f"every one of {len(trials)} candidates makes more than {plan.max_degenerate:.0%} "
            f"degenerate text (the least: {least:.0%}); try smaller multiples or other layers"
        )
    best = max(
        sound,
        key=lambda i: (
            round(trials[i].efficacy, 3),
            -abs(trials[i].multiple - _PAPERS_MULTIPLE),
            trials[i].decodes,
            trials[i].layer,
        ),
    )
    return Found(steerings[best], trials[best], tuple(trials))


def _candidates(
    activations: Activations, plan: SearchPlan, fit_plan: FitPlan
) -> Iterator[tuple[Steering, float]]:
    for layer in plan.layers_of(len(activations.layers)):
        found = direction_at(activations, layer, fit_plan)
        direction = torch.tensor(found.direction, dtype=torch.float32)
        for decodes, multiple in product(plan.scopes, plan.multiples):
            coefficient = multiple * found.gap
            yield Steering(direction, layer, coefficient, found.typical_norm, decodes), multiple


def _try(
    steering: Steering,
    multiple: float,
    validation: Sequence[Prompt],
    generate: Generate,
    judge: Judge,
) -> Trial:
    refused, degenerate = {}, []
    for name, harmful, action in (
        ("steered_harmful", True, Action.STEER),
        ("steered_harmless", False, Action.STEER),
        ("released_harmless", False, Action.RELEASE),
    ):
        prompts = select(validation, harmful=harmful)
        texts = generate(prompts, action, steering)
        judged = judge.judge_all(exchanges_of((p.text for p in prompts), texts))
        refused[name] = sum(j.refused for j in judged) / len(judged)
        degenerate.append(sum(j.degenerate for j in judged) / len(judged))
    return Trial(
        layer=steering.layer,
        decodes=steering.decodes,
        multiple=multiple,
        coefficient=steering.coefficient,
        degenerate=max(degenerate),
        **refused,
    )
