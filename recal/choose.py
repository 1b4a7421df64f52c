"""Which places a readout reads, and at which rank: what carries to unseen languages decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import NamedTuple

from recal.collect import Activations
from recal.fit import Candidate, FitPlan, by_language, fit_place
from recal.maths.logistic import score
from recal.maths.transfer import Score, held_out_scores, summed, transfer
from recal.maths.two_class import TwoClass
from services.readout.place import Place, Reading

_EQUAL = 1e-9

Report = Callable[[int, int], None]
"""Called with places done and places in all."""


class Tried(NamedTuple):
    """Candidates that score together, and what they reached."""

    members: tuple[Candidate, ...]
    """One, or an ensemble of several."""
    transfer: float
    """Mean TPR at 5 % FPR on languages that the fit had not seen, in [0, 1]."""


class Choice(NamedTuple):
    """What is read, and what everything that was tried reached."""

    chosen: Tried
    tried: tuple[Tried, ...]
    """Single candidates, then ensembles."""

    @property
    def members(self) -> tuple[Candidate, ...]:
        """The chosen candidates."""
        return self.chosen.members


class _Scored(NamedTuple):
    tried: Tried
    scores: Mapping[str, TwoClass]
    """Of every language, by readouts that had not seen it."""


def choose(
    activations: Activations, plan: FitPlan, *, report: Report = lambda done, total: None
) -> Choice:
    """Search layer, reading and rank by leaving one language out.

    Each source language is scored by a fit on the others, each development language by a fit on
    all of them; low-resource languages have no say. Of equals the smaller rank wins, then the
    earlier layer, which costs the gate fewer blocks. Then the best candidates of the readings are
    tried together, each in standard deviations of its own scores; an ensemble wins only where it
    is better than every single candidate, and of equal ensembles the one of fewest parts.

    Args:
        activations: of source and development languages.
        plan: what is given, and what is searched for.
        report: progress.

    Raises:
        ValueError: a language lacks a class, a place was not collected, or as `fit_place`.
    """
    places = list(plan.places(activations))
    tried: list[Tried] = []
    best: dict[Reading, _Scored] = {}
    for done, place in enumerate(places, start=1):
        for scored in _try_place(activations, plan, place):
            tried.append(scored.tried)
            leader = best.get(place.reading)
            if leader is None or _order(scored.tried) < _order(leader.tried):
                best[place.reading] = scored
        report(done, len(places))
    ensembles = [
        _together(parts)
        for size in range(2, len(best) + 1)
        for parts in combinations(best.values(), size)
    ]
    single = min((scored.tried for scored in best.values()), key=_order)
    chosen = single
    for ensemble in ensembles:
        if ensemble.transfer > chosen.transfer + _EQUAL:
            chosen = ensemble
    return Choice(chosen, (*tried, *ensembles))


def _try_place(activations: Activations, plan: FitPlan, place: Place) -> list[_Scored]:
    layer, reading = place
    source = by_language(activations, layer, plan.source_languages, reading)
    development = by_language(activations, layer, plan.development_languages, reading)

    def fit(rows: Mapping[str, TwoClass]) -> Mapping[int, Score]:
        found = fit_place(rows, place, plan.ranks, plan)
        return {rank: partial(score, part.folded) for rank, part in found.items()}

    return [
        _Scored(Tried((Candidate(place, rank),), transfer(scores)), scores)
        for rank, scores in held_out_scores(source, development, fit).items()
    ]


def _together(parts: tuple[_Scored, ...]) -> Tried:
    members = tuple(member for part in parts for member in part.tried.members)
    return Tried(members, transfer(summed([part.scores for part in parts])))


def _order(tried: Tried) -> tuple[int, int, int]:
    """Of single candidates, the first is best."""
    ((place, rank),) = tried.members
    return -round(tried.transfer / _EQUAL), rank, place.layer
