"""Step 1: residuals of source languages to one readout, fitted once and then frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import numpy as np
import torch

from recal.collect import Activations
from recal.languages import HIGH, MID
from recal.maths.direction import ProjectionStatistics, pooled_direction, projection_statistics
from recal.maths.logistic import Folded, score_pair
from recal.maths.paper import RANK as PAPERS_RANK
from recal.maths.paper import f1_threshold, fit_paper
from recal.maths.readout import fit_projection, fit_ranks, fit_wide, source_of
from recal.maths.source import SourceStatistics, pooled_within_sd, source_statistics
from recal.maths.transfer import summed
from recal.maths.two_class import FloatArray, TwoClass, pooled_scores
from services.readout.bundle import BackboneIdentity, Readout, Steering
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.place import Place, Reading
from services.readout.references import References, ScoreHistogram

Method = Literal["recal", "paper"]
"""`paper`: the released probe of arXiv:2606.01196, at the last token and rank 10. `recal`: a
converged logistic, searched over layer, reading and rank."""

RANKS = (1, 2, 4, 8, 10)
"""Of the subspace, tried where the plan leaves it open."""

_EDGES = tuple(float(x) for x in np.linspace(-8.0, 8.0, 33))


@dataclass(frozen=True)
class FitPlan:
    """What decides a readout; what is None is searched for."""

    source_languages: tuple[str, ...] = HIGH
    """Well-covered languages that the readout is fitted on."""
    development_languages: tuple[str, ...] = MID
    """Languages that may choose among readouts, and nothing else."""
    rank: int | None = None
    """Of the subspace of the source languages' directions."""
    layer: int | None = None
    """Decoder block to read."""
    reading: Reading | None = None
    """Which of a prompt's tokens are read."""
    method: Method = "recal"
    depth: float = 2 / 3
    """Share of the blocks, from the first on, that may be read: a gate runs no deeper."""
    most_parts: int = 8
    """Places read together at most; 1: the best single one."""
    c: float = 1.0
    """Inverse strength of the logistic's penalty."""
    seed: int = 0
    """Of the initial weights of the paper's probe."""

    def __post_init__(self) -> None:
        if len(self.source_languages) < 2:
            raise ValueError("a readout needs at least two source languages")
        if self.rank is not None and self.rank < 1:
            raise ValueError(f"`rank` is {self.rank}; it must be at least 1")
        if self.most_parts < 1:
            raise ValueError(f"`most_parts` is {self.most_parts}; it must be at least 1")
        if not 0 < self.depth <= 1:
            raise ValueError(f"`depth` is {self.depth}; it must be above 0 and at most 1")

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks to try; none above the number of source languages."""
        if self.rank is not None:
            wanted: tuple[int, ...] = (self.rank,)
        else:
            wanted = RANKS if self.method == "recal" else (PAPERS_RANK,)
        most = len(self.source_languages)
        return tuple(dict.fromkeys(min(rank, most) for rank in wanted))

    def refuse_other_depth(self, n_layers: int) -> None:
        """Check the layer that is given, before anything is read.

        Raises:
            ValueError: the backbone has no such block.
        """
        if self.layer is not None and not 0 <= self.layer < n_layers:
            raise ValueError(
                f"`layer` is {self.layer}, and the backbone has {n_layers} blocks; give one from "
                f"0 to {n_layers - 1}"
            )

    def places(self, activations: Activations) -> Iterator[Place]:
        """The places to try, of those that were collected."""
        readings: Sequence[Reading] = activations.readings
        if self.reading is not None:
            readings = (self.reading,)
        elif self.method == "paper":
            readings = ("last",)
        n_allowed = max(1, round(self.depth * (max(activations.layers) + 1)))
        layers = [layer for layer in activations.layers if layer < n_allowed]
        for reading in readings:
            for layer in layers if self.layer is None else (self.layer,):
                yield Place(layer, reading)


class Candidate(NamedTuple):
    """A place and a rank to fit a part of a readout with."""

    place: Place
    rank: int
    share: float = 1.0
    """Of its score in the sum, beside the other parts'; any unit."""


class FittedPart(NamedTuple):
    """A readout of one place."""

    place: Place
    folded: Folded
    """Residual to score, in pooled standard deviations of the source languages."""
    basis: FloatArray
    """(d_model, rank), orthonormal columns."""
    share: float = 1.0
    """What its score is multiplied with in the sum."""


class FittedParts(NamedTuple):
    """A readout of one or more places, not yet put together with its steering."""

    parts: tuple[FittedPart, ...]
    """Their shares make the sum's unit one standard deviation."""
    source: SourceStatistics

    def scores(self, activations: Activations, language: str) -> TwoClass:
        """Scores of one language's prompts, by class, in float64.

        Raises:
            ValueError: as `by_language`.
        """
        return _scores(self.parts, activations, (language,))[language]


class FoundDirection(NamedTuple):
    """The pooled harmfulness direction at one layer with what its strength is measured in."""

    direction: FloatArray
    """(d_model,), unit norm."""
    statistics: ProjectionStatistics
    """Where the classes lie along it."""
    typical_norm: float
    """Mean norm of a residual at this layer."""


def by_language(
    activations: Activations, layer: int, languages: Sequence[str], reading: Reading = "last"
) -> dict[str, TwoClass]:
    """Residuals of both classes at one place.

    Raises:
        ValueError: a language lacks a class, or the place was not collected.
    """
    return {
        language: TwoClass(
            activations.at(layer, reading=reading, language=language, harmful=True),
            activations.at(layer, reading=reading, language=language, harmful=False),
        )
        for language in languages
    }


def direction_at(activations: Activations, layer: int, plan: FitPlan) -> FoundDirection:
    """The steering direction of the source languages at one layer and the last prompt token.

    Raises:
        ValueError: as `pooled_direction`.

    Source: arXiv:2606.01196: pooled difference in means, α = λ·g.
    """
    rows = by_language(activations, layer, plan.source_languages)
    direction = pooled_direction(rows)
    harmful = np.concatenate([pair.harmful for pair in rows.values()])
    harmless = np.concatenate([pair.harmless for pair in rows.values()])
    norms = np.linalg.norm(np.concatenate([harmful, harmless]), axis=1)
    statistics = projection_statistics(harmful, harmless, direction)
    return FoundDirection(direction, statistics, float(norms.mean()))


def fit_place(
    source: Mapping[str, TwoClass], place: Place, ranks: Sequence[int], plan: FitPlan
) -> dict[int, FittedPart]:
    """Readouts of one place by the plan's method, by rank.

    Raises:
        ValueError: as `fit_ranks` and `fit_paper`.
    """
    if plan.method == "recal":
        return {
            rank: FittedPart(place, fitted.folded, fitted.basis)
            for rank, fitted in fit_ranks(source, ranks, c=plan.c).items()
        }
    found = {}
    for rank in ranks:
        rng = np.random.default_rng(plan.seed)
        gate = fit_paper(source, rng, rank=min(rank, len(source)))
        unit = gate.source.sd_within
        folded = Folded(gate.folded.weight / unit, gate.folded.bias / unit)
        found[rank] = FittedPart(place, folded, gate.basis)
    return found


def fit_parts(activations: Activations, chosen: Sequence[Candidate], plan: FitPlan) -> FittedParts:
    """Fit the readout of the chosen places on the source languages.

    Raises:
        ValueError: nothing is chosen, or as `by_language` and `fit_place`.
    """
    if not chosen:
        raise ValueError("no place was chosen to read; at least one is needed")
    parts = []
    for place, rank, share in chosen:
        rows = by_language(activations, place.layer, plan.source_languages, place.reading)
        parts.append(fit_place(rows, place, (rank,), plan)[rank]._replace(share=share))
    fitted = _put_together(parts, activations, plan.source_languages)
    if plan.method == "recal":
        return fitted
    scores = _scores(fitted.parts, activations, plan.source_languages)
    threshold = f1_threshold(pooled_scores(scores), fitted.source)
    return fitted._replace(source=source_statistics(scores, threshold=threshold))


def fit_translations(
    activations: Activations, language: str, places: Sequence[Place], *, c: float = 0.1
) -> FittedParts:
    """`translate_train` as benchmarks compare it; what is served: `recal.own_readout`.

    A few hundred rows of one language have one direction between their class means, so the
    logistic is over every coordinate. Its unit and its threshold are of the rows that it was fitted
    on, which flatter it.

    Args:
        activations: of the translations, at these places.
        language: the only one that is fitted on.
        places: to read together.
        c: inverse strength of the penalty.

    Raises:
        ValueError: no place is given, the language lacks a class, or as `fit_wide`.
    """
    if not places:
        raise ValueError("no place was given to read; at least one is needed")
    parts = []
    for place in places:
        rows = by_language(activations, place.layer, (language,), place.reading)
        wide = fit_wide(rows[language], c=c)
        unit = pooled_within_sd({language: score_pair(wide, rows[language])})
        folded = Folded(wide.weight / unit, wide.bias / unit)
        column = wide.weight / np.linalg.norm(wide.weight)
        parts.append(FittedPart(place, folded, column[:, None]))
    return _put_together(parts, activations, (language,))


def fit_projections(
    activations: Activations, chosen: Sequence[Candidate], plan: FitPlan
) -> FittedParts:
    """The projection on the source languages' direction at each chosen place, in the same shares.

    Args:
        activations: of the source languages, at least at these places.
        chosen: places and shares as of `fit_parts`; a projection has rank 1, whatever they say.
        plan: names the source languages.

    Raises:
        ValueError: nothing is chosen, as `by_language` and `fit_projection`, or the classes of the
            source languages do not come out the right way round.
    """
    if not chosen:
        raise ValueError("no place was chosen to read; at least one is needed")
    parts = []
    for place, _, share in chosen:
        rows = by_language(activations, place.layer, plan.source_languages, place.reading)
        folded = fit_projection(rows)
        column = folded.weight / np.linalg.norm(folded.weight)
        parts.append(FittedPart(place, folded, column[:, None], share))
    return _put_together(parts, activations, plan.source_languages)


def fit(
    activations: Activations,
    identity: BackboneIdentity,
    *,
    chosen: Sequence[Candidate],
    steering: Steering,
    plan: FitPlan,
    provenance: Mapping[str, str],
) -> Readout:
    """Fit the readout of the chosen places and put it together with its steering.

    Args:
        activations: of the source languages, at least at these places.
        identity: the backbone that they were collected from.
        chosen: places to read and their ranks, by `recal.choose`.
        steering: found by `recal.search`.
        plan: languages, method and penalty.
        provenance: how it came to be; texts by hash only.

    Raises:
        ValueError: as `fit_parts`.
    """
    fitted = fit_parts(activations, chosen, plan)
    scores = _scores(fitted.parts, activations, plan.source_languages)
    return Readout(
        parts=tuple(_part_of(part) for part in fitted.parts),
        source_languages=plan.source_languages,
        steering=steering,
        backbone=identity,
        source_threshold=fitted.source.threshold,
        source_statistics={
            "mean_harmful": fitted.source.mean_harmful,
            "mean_harmless": fitted.source.mean_harmless,
            "sd_within": fitted.source.sd_within,
        },
        created=now(),
        histogram=histogram(*pooled_scores(scores)),
        provenance={"method": plan.method, **provenance},
        references=_references(fitted.parts, activations, plan.source_languages),
    )


def _references(
    parts: Sequence[FittedPart], activations: Activations, languages: Sequence[str]
) -> References:
    """The mean of each class of each language at every place, with its score."""
    means, scores = [], []
    for language in languages:
        for is_harmful in (True, False):
            rows = [
                activations.at(
                    place.layer, reading=place.reading, language=language, harmful=is_harmful
                ).mean(axis=0)
                for place, *_ in parts
            ]
            # what is stored is what is scored
            stored = np.array(rows, dtype=np.float32)
            means.append(stored)
            scores.append(
                sum(
                    part.share * float(row @ part.folded.weight + part.folded.bias)
                    for part, row in zip(parts, stored.astype(np.float64), strict=True)
                )
            )
    return References(torch.from_numpy(np.stack(means)), tuple(scores))


def _put_together(
    parts: Sequence[FittedPart], activations: Activations, languages: Sequence[str]
) -> FittedParts:
    """Shares that make the sum's unit one standard deviation within these languages."""
    unit = parts[0].share
    if len(parts) > 1:
        unit = pooled_within_sd(_scores(parts, activations, languages))
    scaled = tuple(part._replace(share=part.share / unit) for part in parts)
    return FittedParts(scaled, source_of(_scores(scaled, activations, languages)))


def _part_of(part: FittedPart) -> ReadoutPart:
    return ReadoutPart(
        place=part.place,
        linear=LinearReadout(
            torch.tensor(part.folded.weight, dtype=torch.float32), part.folded.bias
        ),
        basis=torch.tensor(part.basis, dtype=torch.float32),
        share=part.share,
    )


def _scores(
    parts: Sequence[FittedPart], activations: Activations, languages: Sequence[str]
) -> dict[str, TwoClass]:
    scored = []
    for part in parts:
        rows = by_language(activations, part.place.layer, languages, part.place.reading)
        scored.append({la: score_pair(part.folded, pair) for la, pair in rows.items()})
    return summed(scored, [part.share for part in parts])


def histogram(harmful: FloatArray, harmless: FloatArray) -> ScoreHistogram:
    """Counts of scores by class; scores beyond the outer edges fall into the outer bins."""
    counts = [
        tuple(int(n) for n in np.histogram(np.clip(scores, _EDGES[0], _EDGES[-1]), _EDGES)[0])
        for scores in (harmful, harmless)
    ]
    return ScoreHistogram(edges=_EDGES, harmful=counts[0], harmless=counts[1])


def now() -> str:
    """The time in RFC 3339, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
