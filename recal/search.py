"""Where to act, in which form and scope, and how strongly: a search on validation prompts.

The window is narrow on small models: too strong an addition pushes the state off the data and the
text degenerates, so degenerate output is part of the objective. Prompts are of high- and
mid-resource languages; low-resource ones have no say. Where the layer is *read* is another choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from recal.collect import Activations
from recal.fit import FitPlan, FoundDirection, direction_at
from recal.judge import Judge
from recal.paper_sweep import PaperChoice, paper_choice, sweep_layers
from recal.prompts import Prompt, select, spread
from recal.release_search import FoundRelease, ReleasePlan, find_release
from recal.trials import Case, Outcome, Report, TreatedModel, TrialRun, thinned, with_neighbours
from services.domain import Action
from services.generation.treatment import Treatment
from services.readout.bundle import Release, Scope, SteerForm, Steering, SteeringStatistics

_PAPERS_MULTIPLE = 1.0

Generate = Callable[[Sequence[Prompt], Action, Steering], list[str]]
"""Texts of prompts under one action with one steering."""


@dataclass(frozen=True)
class SearchPlan:
    """What is tried and what is rejected."""

    multiples: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    """λ, rising: the coefficient in units of the gap g of each layer; of `to_target` the share."""
    forms: tuple[SteerForm, ...] = (SteerForm.ADD, SteerForm.TO_TARGET)
    scopes: tuple[Scope, ...] = (Scope.LAST_THEN_DECODE, Scope.LAST, Scope.PROMPT)
    """The paper's first."""
    layers: tuple[int, ...] | None = None
    """Blocks to act at; None: from the first fifth of the depth to the last block but one."""
    most_layers: int = 8
    """At most so many blocks are tried, evenly spread over those."""
    n_finalists: int = 4
    """Kinds of steering that are looked at closely after a coarse first round."""
    max_degenerate: float = 0.02
    """Share of degenerate texts above which a candidate is rejected."""
    release: ReleasePlan = field(default_factory=ReleasePlan)

    def __post_init__(self) -> None:
        if not self.multiples or list(self.multiples) != sorted(set(self.multiples)):
            raise ValueError(f"the multiples {self.multiples} do not rise; sort them")
        if self.n_finalists < 1 or self.most_layers < 1:
            raise ValueError("at least one layer is tried and one finalist looked at closely")

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """The blocks to try in a model of n_layers blocks."""
        if self.layers is not None:
            return self.layers
        all_of_them = tuple(range(max(1, n_layers // 5), n_layers - 1)) or (0,)
        return thinned(all_of_them, self.most_layers)

    @property
    def coarse(self) -> tuple[float, ...]:
        """The multiples of the first round: every second one."""
        return self.multiples[1::2] or self.multiples


class Kind(NamedTuple):
    """A steering but for its strength."""

    layer: int
    form: SteerForm
    scope: Scope


class Trial(NamedTuple):
    """One candidate and what it did to validation prompts."""

    kind: Kind
    multiple: float
    steered_harmful: float
    """Share of harmful prompts refused when steered."""
    steered_harmless: float
    """Share of harmless prompts refused when steered: what steering alone can induce."""
    degenerate: float
    """Larger share of degenerate texts of the two."""

    @property
    def efficacy(self) -> float:
        """Does what it is told: steered prompts refuse, whatever they ask."""
        return (self.steered_harmful + self.steered_harmless) / 2

    @property
    def in_words(self) -> str:
        """One line for people."""
        return (
            f"block {self.kind.layer}, {self.kind.form.value} on {self.kind.scope.value}, "
            f"λ {self.multiple:g}: steered harmful refused {self.steered_harmful:.0%}, "
            f"harmless {self.steered_harmless:.0%}, degenerate {self.degenerate:.0%}"
        )


class Found(NamedTuple):
    """The chosen steering and every trial that it was chosen from."""

    steering: Steering
    chosen: Trial
    trials: tuple[Trial, ...]
    """Of the close look."""
    release: FoundRelease
    paper: PaperChoice
    """What the procedure of arXiv:2606.01196 chooses, to compare with."""


@dataclass(frozen=True)
class SearchWatch:
    """Who is told while the search takes its time."""

    texts: Report = lambda done, total: None
    """Texts done, and an upper bound of how many are needed."""
    tried: Callable[[Trial], None] = lambda trial: None
    """Every trial of the close look."""


class FoundSteering(NamedTuple):
    """The chosen kind and strength, and every trial of the close look."""

    chosen: Trial
    trials: tuple[Trial, ...]


class ByClass(NamedTuple):
    """Validation prompts of both classes."""

    harmful: list[Prompt]
    harmless: list[Prompt]

    @classmethod
    def of(cls, validation: Sequence[Prompt]) -> ByClass:
        """Split by label.

        Raises:
            ValueError: a class is missing.
        """
        found = cls(*(select(validation, harmful=label) for label in (True, False)))
        if not found.harmful or not found.harmless:
            raise ValueError(
                "validation prompts of both classes are needed to choose a coefficient"
            )
        return found


def search(
    activations: Activations,
    validation: Sequence[Prompt],
    *,
    model: TreatedModel,
    judge: Judge,
    plan: SearchPlan,
    fit_plan: FitPlan,
    watch: SearchWatch | None = None,
) -> Found:
    """Choose how STEER (`find_steering`) and RELEASE (`find_release`) act.

    Args:
        activations: of training prompts, at all blocks that may be acted at.
        validation: labelled prompts of high- and mid-resource languages.
        model: answers prompts under treatments.
        judge: what counts as a refusal and as degenerate.
        plan: what is tried.
        fit_plan: the source languages of directions.
        watch: who is told of progress.

    Raises:
        ValueError: validation prompts lack a class, or every candidate degenerates.
    """
    told = watch if watch is not None else SearchWatch()
    prompts = ByClass.of(validation)
    places = {la: direction_at(activations, la, fit_plan) for la in activations.layers}
    run = TrialRun(model, judge, n_texts=_n_texts(plan, places, prompts), report=told.texts)
    steering = find_steering(places, prompts, run=run, plan=plan)
    for trial in steering.trials:
        told.tried(trial)
    release = find_release(activations, prompts.harmful, places, run=run, plan=plan.release)
    swept = sweep_layers(prompts.harmful, prompts.harmless, places, run=run)
    run.finish()
    chosen = steering.chosen
    return Found(
        steering=steering_of(chosen.kind, chosen.multiple, places, release=release.release),
        chosen=chosen,
        trials=steering.trials,
        release=release,
        paper=paper_choice(swept, places),
    )


def find_steering(
    places: Mapping[int, FoundDirection],
    prompts: ByClass,
    *,
    run: TrialRun,
    plan: SearchPlan,
) -> FoundSteering:
    """Choose block, form, scope and strength of STEER.

    A coarse round tries every kind of steering at a few strengths on one harmless prompt a
    language; the best kinds are then tried at every strength on all validation prompts. Of the
    candidates that stay under `max_degenerate` the one in the middle of a window that works wins:
    its efficacy counts together with that of the next weaker and the next stronger one. The
    weakest that does on these prompts would leave other languages between answer and refusal.
    Among equals the paper's form, the strength nearest to its λ = 1, its scope, the latest layer.

    Args:
        places: the direction of every block.
        prompts: validation prompts of high- and mid-resource languages.
        run: answers and judges.
        plan: what is tried.

    Raises:
        ValueError: every candidate degenerates.
    """
    finalists = _finalists(places, prompts, run, plan)
    trials = _close_look(finalists, places, prompts, run, plan)
    return FoundSteering(_middle_of_a_window(trials, plan), tuple(trials))


def steering_of(
    kind: Kind,
    multiple: float,
    places: Mapping[int, FoundDirection],
    *,
    release: Release | None = None,
) -> Steering:
    """A steering of one kind at λ = `multiple`: λ·g for `add`, the share λ for `to_target`."""
    place = places[kind.layer]
    in_units = place.statistics.gap if kind.form is SteerForm.ADD else 1.0
    return Steering(
        direction=torch.tensor(place.direction, dtype=torch.float32),
        layer=kind.layer,
        coefficient=multiple * in_units,
        typical_norm=place.typical_norm,
        form=kind.form,
        scope=kind.scope,
        statistics=SteeringStatistics(**place.statistics._asdict()),
        release=release if release is not None else Release(),
    )


def _n_texts(plan: SearchPlan, places: Mapping[int, FoundDirection], prompts: ByClass) -> int:
    """Texts that all steps need together, at most."""
    n_both = len(prompts.harmful) + len(prompts.harmless)
    n_kinds = len(plan.layers_of(len(places))) * len(plan.forms) * len(plan.scopes)
    coarse = n_kinds * len(plan.coarse) * len(spread(prompts.harmless, 1))
    close = min(plan.n_finalists, n_kinds) * len(plan.multiples) * n_both
    swept = len(places) * len(prompts.harmful)
    return coarse + close + swept + plan.release.n_texts(len(places), len(prompts.harmful))


def _finalists(
    places: Mapping[int, FoundDirection], prompts: ByClass, run: TrialRun, plan: SearchPlan
) -> list[Kind]:
    """The kinds that do best in the coarse round: at their best strength, then over all."""
    few = spread(prompts.harmless, 1)
    kinds = [Kind(*each) for each in product(plan.layers_of(len(places)), plan.forms, plan.scopes)]
    steered = [(kind, multiple) for kind in kinds for multiple in plan.coarse]
    outcomes = run.outcomes([Case(_treatment(*each, places), few) for each in steered])
    # of so few texts a single one is more than the share that is allowed
    allowed = max(plan.max_degenerate, 1 / len(few))
    by_kind: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    for (kind, _), outcome in zip(steered, outcomes, strict=True):
        by_kind[kind].append(outcome.refused if outcome.degenerate <= allowed else 0.0)
    ranked = sorted(
        kinds,
        key=lambda kind: (
            round(max(by_kind[kind]), 3),
            round(float(np.mean(by_kind[kind])), 3),
            *_like_the_papers(kind),
        ),
        reverse=True,
    )
    return ranked[: plan.n_finalists]


def _close_look(
    finalists: Sequence[Kind],
    places: Mapping[int, FoundDirection],
    prompts: ByClass,
    run: TrialRun,
    plan: SearchPlan,
) -> list[Trial]:
    steered = [(kind, multiple) for kind in finalists for multiple in plan.multiples]
    cases = [Case(_treatment(*each, places), some) for each in steered for some in prompts]
    outcomes = iter(run.outcomes(cases))
    return [_trial(kind, multiple, next(outcomes), next(outcomes)) for kind, multiple in steered]


def _treatment(kind: Kind, multiple: float, places: Mapping[int, FoundDirection]) -> Treatment:
    return Treatment(Action.STEER, steering_of(kind, multiple, places))


def _trial(kind: Kind, multiple: float, harmful: Outcome, harmless: Outcome) -> Trial:
    return Trial(
        kind,
        multiple,
        steered_harmful=harmful.refused,
        steered_harmless=harmless.refused,
        degenerate=max(harmful.degenerate, harmless.degenerate),
    )


def _middle_of_a_window(trials: Sequence[Trial], plan: SearchPlan) -> Trial:
    sound = [trial for trial in trials if trial.degenerate <= plan.max_degenerate]
    if not sound:
        least = min(trial.degenerate for trial in trials)
        raise ValueError(
            f"every one of {len(trials)} candidates makes more than {plan.max_degenerate:.0%} "
            f"degenerate text (the least: {least:.0%}); try smaller multiples or other layers"
        )
    smooth: dict[tuple[Kind, float], float] = {}
    for kind in {trial.kind for trial in trials}:
        mine = [trial for trial in trials if trial.kind == kind]
        works = with_neighbours([t.efficacy if t in sound else 0.0 for t in mine])
        smooth |= {(kind, t.multiple): value for t, value in zip(mine, works, strict=True)}
    return max(
        sound,
        key=lambda trial: (
            round(smooth[trial.kind, trial.multiple], 3),
            trial.kind.form is SteerForm.ADD,
            -abs(trial.multiple - _PAPERS_MULTIPLE),
            *_like_the_papers(trial.kind),
        ),
    )


def _like_the_papers(kind: Kind) -> tuple[bool, bool, int]:
    return (
        kind.form is SteerForm.ADD,
        kind.scope is Scope.LAST_THEN_DECODE,
        kind.layer,
    )
