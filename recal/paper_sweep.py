"""The acting layer as arXiv:2606.01196 chooses it, to compare our own choice with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from recal.fit import FoundDirection
from recal.maths.divergence import mean_kl
from recal.prompts import Prompt
from recal.trials import Case, TrialRun
from services.domain import Action
from services.generation.intervention import ablation
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import Scope, Steering, SteeringStatistics

MAX_KL = 0.1
"""Nats; of the first new token of harmless prompts (arXiv:2406.11717)."""


class SweptLayer(NamedTuple):
    """What ablating the direction at one block alone does."""

    layer: int
    harmful_refused: float
    """Share of harmful validation prompts that still refuse."""
    kl: float
    """Mean KL of the first new token of harmless prompts, in nats."""


class PaperChoice(NamedTuple):
    """The paper's steering on this backbone: λ = 1, two-way, one block."""

    steering: Steering
    swept: tuple[SweptLayer, ...]
    within_kl: bool
    """False: no block stays below `MAX_KL`, and the one that moves harmless prompts least was
    taken."""


def sweep_layers(
    harmful: Sequence[Prompt],
    harmless: Sequence[Prompt],
    places: Mapping[int, FoundDirection],
    *,
    run: TrialRun,
) -> tuple[SweptLayer, ...]:
    """Ablate at one block after the other, over [0.2 L, 0.8 L].

    Args:
        harmful: validation prompts of high- and mid-resource languages.
        harmless: the same.
        places: the direction of every block.
        run: answers and judges.

    Source: arXiv:2606.01196, its released sweep; the range and the limit on KL are ours.
    """
    n = len(places)
    layers = [la for la in sorted(places) if 0.2 * n <= la <= math.floor(0.8 * n)] or sorted(places)
    treatments = {la: _ablated(la, places[la]) for la in layers}
    outcomes = run.outcomes([Case(treatments[la], harmful) for la in layers])
    before = run.model.first_token_logits(harmless, [UNTOUCHED] * len(harmless))
    found = []
    for layer, outcome in zip(layers, outcomes, strict=True):
        after = run.model.first_token_logits(harmless, [treatments[layer]] * len(harmless))
        found.append(SweptLayer(layer, outcome.refused, mean_kl(before, after)))
    return tuple(found)


def paper_choice(swept: Sequence[SweptLayer], places: Mapping[int, FoundDirection]) -> PaperChoice:
    """The block whose ablation takes most refusals away and leaves harmless prompts alone.

    Of equals the one that moves harmless prompts least.
    """
    allowed = [each for each in swept if each.kl <= MAX_KL]
    if allowed:
        best = min(allowed, key=lambda each: (round(each.harmful_refused, 3), each.kl))
    else:
        best = min(swept, key=lambda each: each.kl)
    place = places[best.layer]
    steering = Steering(
        direction=torch.tensor(place.direction, dtype=torch.float32),
        layer=best.layer,
        coefficient=place.statistics.gap,
        typical_norm=place.typical_norm,
        statistics=SteeringStatistics(**place.statistics._asdict()),
    )
    return PaperChoice(steering, tuple(swept), within_kl=bool(allowed))


def _ablated(layer: int, place: FoundDirection) -> Treatment:
    direction = torch.tensor(place.direction, dtype=torch.float32)
    return Treatment(Action.RELEASE, own=(Move(layer, direction, ablation(), Scope.ALL),))
