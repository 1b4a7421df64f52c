"""How a false refusal is best taken away, and whether it is worth it.

A harmful prompt that the gate misses is released too, so what releasing does to harmful prompts
counts as much as the false refusals that it takes away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from recal.collect import Activations
from recal.fit import FoundDirection
from recal.maths.direction import difference_in_means, surgical_direction
from recal.prompts import Prompt
from recal.trials import Case, TrialRun, thinned
from services.domain import Action
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Release, ReleaseForm, Scope, Steering

_FEWEST_FOR_A_DIRECTION = 4


@dataclass(frozen=True)
class ReleasePlan:
    """What is tried."""

    forms: tuple[tuple[ReleaseForm, Scope], ...] = (
        (ReleaseForm.ABLATE, Scope.ALL),
        (ReleaseForm.AFFINE, Scope.LAST_THEN_DECODE),
        (ReleaseForm.SURGICAL, Scope.LAST_THEN_DECODE),
    )
    """The first is the paper's. Doing nothing is always among the choices."""
    n_suspects: int = 96
    """Harmless training prompts nearest to harmful ones, among which false refusals are sought."""
    most_judged: int = 24
    """At most so many false refusals are tried."""
    most_layers: int = 8
    max_degenerate: float = 0.02

    def n_texts(self, n_layers: int, n_harmful: int) -> int:
        """Texts that are needed, at most."""
        n_trials = min(n_layers, self.most_layers) * len(self.forms) + 1
        return self.n_suspects + n_trials * (n_harmful + self.most_judged)


class ReleaseTrial(NamedTuple):
    """One way to release, and what it did."""

    release: Release
    false_refused: float
    """Share of false refusals that remain."""
    harmful_refused: float
    """Share of harmful prompts that still refuse: what a missed one can hope for."""
    degenerate: float
    """Larger share of degenerate texts of the two."""

    @property
    def selectivity(self) -> float:
        """Harmful minus false refusals, in [-1, 1]."""
        return self.harmful_refused - self.false_refused


class FoundRelease(NamedTuple):
    """The chosen release and what it was chosen from."""

    release: Release
    trials: tuple[ReleaseTrial, ...]
    """Empty where there was no false refusal to take away."""
    n_false_refusals: int
    """Found among the suspects."""

    @property
    def in_words(self) -> str:
        """One line for people."""
        chosen = [trial for trial in self.trials if trial.release is self.release]
        if not chosen:
            return f"{self.release.form.value}, for no false refusal was found to take away"
        place = "" if self.release.layer is None else f" at block {self.release.layer}"
        return (
            f"{self.release.form.value}{place}: false refusals left {chosen[0].false_refused:.0%}, "
            f"harmful still refused {chosen[0].harmful_refused:.0%}, degenerate "
            f"{chosen[0].degenerate:.0%}"
        )


class _Halves(NamedTuple):
    """False refusals, by meaning: those that give a direction, and those that test it."""

    fitting: list[Prompt]
    judged: list[Prompt]


def find_release(
    activations: Activations,
    harmful: Sequence[Prompt],
    places: Mapping[int, FoundDirection],
    *,
    run: TrialRun,
    plan: ReleasePlan,
) -> FoundRelease:
    """Choose form, layer and direction of RELEASE.

    False refusals are sought among the harmless training prompts that lie nearest to harmful ones.
    The way of releasing that takes most of them away for the fewest refusals of harmful prompts
    wins; where that is worth nothing, or there is no false refusal, the model is left alone.

    Args:
        activations: of training prompts, at every block of `places`.
        harmful: validation prompts.
        places: the harmfulness direction of every block.
        run: answers and judges.
        plan: what is tried.
    """
    refused = _false_refusals(activations, places, run, plan)
    halves = _by_meaning(refused)
    nothing = Release(form=ReleaseForm.NOTHING)
    if not halves.judged:
        return FoundRelease(nothing, (), len(refused))
    judged = halves.judged[: plan.most_judged]
    releases = [nothing, *_candidates(activations, refused, halves.fitting, places, plan)]
    treatments = [_treatment(each, places) for each in releases]
    outcomes = run.outcomes([Case(each, some) for each in treatments for some in (judged, harmful)])
    trials = tuple(
        ReleaseTrial(each, false.refused, true.refused, max(false.degenerate, true.degenerate))
        for each, false, true in zip(releases, outcomes[::2], outcomes[1::2], strict=True)
    )
    # doing nothing is the first, and wins among equals
    sound = [t for t in trials if t.degenerate <= plan.max_degenerate] or [trials[0]]
    best = max(sound, key=lambda trial: round(trial.selectivity, 3))
    return FoundRelease(best.release, trials, len(refused))


def _false_refusals(
    activations: Activations,
    places: Mapping[int, FoundDirection],
    run: TrialRun,
    plan: ReleasePlan,
) -> list[Prompt]:
    middle = sorted(places)[len(places) // 2]
    harmless = [p for p in activations.prompts if not p.harmful]
    projections = activations.at(middle, harmful=False) @ places[middle].direction
    nearest = np.argsort(-projections, kind="stable")[: plan.n_suspects]
    suspects = [harmless[i] for i in nearest]
    judged = run.judged(suspects, [UNTOUCHED] * len(suspects))
    return [p for p, judgement in zip(suspects, judged, strict=True) if judgement.refused]


def _by_meaning(refused: Sequence[Prompt]) -> _Halves:
    """Every second meaning tests; the same one never does both, in whatever language."""
    place = {meaning: i for i, meaning in enumerate(sorted({p.id for p in refused}))}
    return _Halves(
        fitting=[p for p in refused if place[p.id] % 2],
        judged=[p for p in refused if not place[p.id] % 2],
    )


def _candidates(
    activations: Activations,
    refused: Sequence[Prompt],
    fitting: Sequence[Prompt],
    places: Mapping[int, FoundDirection],
    plan: ReleasePlan,
) -> list[Release]:
    found = []
    for layer in thinned(sorted(places), plan.most_layers):
        place = places[layer]
        for form, scope in plan.forms:
            direction, centre = place.direction, None
            if form is ReleaseForm.AFFINE:
                centre = place.statistics.centre
            if form is ReleaseForm.SURGICAL:
                if len(fitting) < _FEWEST_FOR_A_DIRECTION:
                    continue
                direction = surgical_direction(
                    _false_refusal_direction(activations, layer, refused, fitting), direction
                )
            tensor = torch.tensor(direction, dtype=torch.float32)
            found.append(Release(form, scope, layer=layer, direction=tensor, centre=centre))
    return found


def _false_refusal_direction(
    activations: Activations, layer: int, refused: Sequence[Prompt], fitting: Sequence[Prompt]
) -> np.ndarray:
    harmless = [p for p in activations.prompts if not p.harmful]
    rows = activations.at(layer, harmful=False)
    falsely = np.array([p in fitting for p in harmless])
    answered = np.array([p not in refused for p in harmless])
    return difference_in_means(rows[falsely], rows[answered])


def _treatment(release: Release, places: Mapping[int, FoundDirection]) -> Treatment:
    # every candidate that acts has a block of its own, so where the steering acts does not matter
    layer = min(places)
    place = places[layer]
    direction = torch.tensor(place.direction, dtype=torch.float32)
    steering = Steering(direction, layer, 0.0, place.typical_norm, release=release)
    return Treatment(Action.RELEASE, steering)
