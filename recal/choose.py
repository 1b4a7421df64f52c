"""Which places a readout reads, and at which rank: what carries to unseen languages decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from recal.collect import Activations
from recal.fit import Candidate, FitPlan, by_language, fit_place
from recal.maths.logistic import score
from recal.maths.stacking import stack
from recal.maths.transfer import Score, held_out_scores, summed, transfer
from recal.maths.two_class import TwoClass
from services.readout.place import Place, Reading

_EQUAL = 1e-9
_SPARE = 0.005
"""Of the true positive rate, that an ensemble may lie below the best single candidate: the best of
many looks better than it is, and parts that err apart from one another lean on no single place."""

Report = Callable[[int, int], None]
"""Called with places done and places in all."""


class Tried(NamedTuple):
    """Candidates that score together, and what they reached."""

    members: tuple[Candidate, ...]
    """One, or an ensemble of several, with their shares."""
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
    earlier layer, which costs the gate fewer blocks.

    Then two ensembles are tried: the best candidate of each reading in equal shares, and all places
    at their best ranks in shares that are learned from the held-out scores. The better of the two
    is taken unless the best single candidate is better by more than half a point.

    Args:
        activations: of source and development languages.
        plan: what is given, and what is searched for.
        report: progress.

    Raises:
        ValueError: a language lacks a class, a place was not collected, or as `fit_place`.
    """
    places = list(plan.places(activations))
    scored: list[_Scored] = []
    best_at: list[_Scored] = []
    for done, place in enumerate(places, start=1):
        here = _try_place(activations, plan, place)
        scored += here
        best_at.append(min(here, key=_order))
        report(done, len(places))
    single = min(best_at, key=_order)
    ensembles = _ensembles(best_at, plan)
    chosen = single
    if ensembles:
        best = max(ensembles, key=lambda each: each.tried.transfer)
        if best.tried.transfer >= single.tried.transfer - _SPARE:
            chosen = best
    return Choice(chosen.tried, tuple(each.tried for each in (*scored, *ensembles)))


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


def _ensembles(best_at: Sequence[_Scored], plan: FitPlan) -> list[_Scored]:
    """The learned one first; none where only one part may be or is worth being read."""
    if plan.method == "paper":
        return []
    found = []
    kept, shares = stack([each.scores for each in best_at], most=plan.most_parts)
    if len(kept) > 1:
        found.append(_together([best_at[index] for index in kept], shares.tolist()))
    leaders: dict[Reading, _Scored] = {}
    for each in sorted(best_at, key=_order):
        leaders.setdefault(each.tried.members[0].place.reading, each)
    if 1 < len(leaders) <= plan.most_parts:
        found.append(_together(list(leaders.values()), [1 / len(leaders)] * len(leaders)))
    return found


def _together(parts: Sequence[_Scored], shares: Sequence[float]) -> _Scored:
    members = tuple(
        part.tried.members[0]._replace(share=share)
        for part, share in zip(parts, shares, strict=True)
    )
    scores = summed([part.scores for part in parts], shares)
    return _Scored(Tried(members, transfer(scores)), scores)


def _order(scored: _Scored) -> tuple[int, int, int]:
    """Of single candidates, the first is best."""
    ((place, rank, _),) = scored.tried.members
    return -round(scored.tried.transfer / _EQUAL), rank, place.layer
