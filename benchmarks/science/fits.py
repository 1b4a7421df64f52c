"""Ways to a readout, by name: the paper's, ours, and those of a language's own prompts.

A new one is a function of a `Bench` and a line of `FITS`. All but the control are fitted on prompts
that the organism never learned, and none sees a scored prompt. `aligned` and `distil` take no label
of their language, but pairs of its calibration prompts, among which few-shot examples are drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.science.prompt_sets import LOW
from benchmarks.science.reading import FITTED_ON, Reading
from recal.choose import Choice, choose
from recal.collect import Activations
from recal.fit import Candidate, FitPlan, FittedParts, by_language, fit_parts, fit_translations
from recal.maths.alignment import align, aligned, distil
from recal.maths.logistic import Folded, score, score_pair
from recal.maths.mlp import fit_mlp
from recal.maths.paper import RANK as PAPERS_RANK
from recal.maths.readout import source_of
from recal.maths.source import SourceStatistics
from recal.maths.two_class import FloatArray, TwoClass
from recal.maths.whitening import fit_whitened
from recal.prompts import select
from services.readout.place import Place

Scores = Callable[[Activations, str], TwoClass]
"""Scores of one language's prompts, by class."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A readout for every low-resource language: the same for all, or each language's own."""

    scores: Scores
    source: Callable[[str], SourceStatistics]
    """Of what a language's readout was fitted on."""
    shared: bool
    """True: one readout, so that other languages' thresholds tell something of this one's."""
    reads: str
    """In words."""


@dataclass(frozen=True, eq=False)
class Bench:
    """One organism, read, with what several fits share."""

    reading: Reading
    papers_layer: int
    """As the paper chooses it: where ablation takes most refusals away."""

    @property
    def plan(self) -> FitPlan:
        """Everything open: searched for among the source languages alone."""
        return FitPlan(source_languages=self.reading.sources, development_languages=())

    @property
    def fitted_on(self) -> Activations:
        """What all fits learn from."""
        return self.reading.activations[FITTED_ON]

    @cached_property
    def choice(self) -> Choice:
        """Places, ranks and ensembles by what carries to source languages that were left out."""
        return choose(self.fitted_on, self.plan)

    @property
    def single(self) -> Candidate:
        """The best single place."""
        alone = [tried for tried in self.choice.tried if len(tried.members) == 1]
        return max(alone, key=lambda tried: tried.transfer).members[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """All that a gate may read: it runs no deeper."""
        return tuple(self.plan.places(self.fitted_on))

    def ensemble(self, *, equal: bool) -> Sequence[Candidate]:
        """The one with learned shares, or the best place of each reading in equal shares.

        The best single place where no ensemble of the kind was worth trying.
        """
        for tried in self.choice.tried:
            n_shares = len({member.share for member in tried.members})
            if len(tried.members) > 1 and (n_shares == 1) is equal:
                return tried.members
        return [self.single]

    @cached_property
    def ours(self) -> FittedParts:
        """The readout that `recal fit` would make of the same rows."""
        return fit_parts(self.fitted_on, self.choice.members, self.plan)

    @cached_property
    def teacher(self) -> dict[str, float]:
        """By parallel id of calibration prompts: mean score of their source languages' versions."""
        calibration, english = self.reading.activations["calibration"], self.reading.english
        others = [(calibration, la) for la in self.reading.sources if la != "en"]
        found: dict[str, list[float]] = defaultdict(list)
        # English ones are there for every prompt, the others where they are matched
        for activations, language in [(english, "en"), *others]:
            for parallel_id, value in _by_prompt(self.ours.scores, activations, language):
                found[parallel_id].append(value)
        return {parallel_id: float(np.mean(values)) for parallel_id, values in found.items()}


def _by_prompt(scores: Scores, activations: Activations, language: str) -> list[tuple[str, float]]:
    """Parallel id and score of every prompt of a language."""
    prompts = [select(activations.prompts, languages=(language,), harmful=h) for h in (True, False)]
    return [
        (prompt.parallel_id, float(value))
        for mine, values in zip(prompts, scores(activations, language), strict=True)
        for prompt, value in zip(mine, values, strict=True)
    ]


def _shared(parts: FittedParts) -> Fitted:
    return Fitted(parts.scores, lambda language: parts.source, True, _words(parts))


def _words(parts: FittedParts) -> str:
    if len(parts.parts) > 4:
        return f"{len(parts.parts)} places"
    return ", ".join(f"block {part.place.layer} {part.place.reading}" for part in parts.parts)


def paper(bench: Bench) -> Fitted:
    """Probe, rank and layer as released (arXiv:2606.01196), without any example."""
    plan = FitPlan(source_languages=bench.reading.sources, development_languages=(), method="paper")
    rank = min(PAPERS_RANK, len(bench.reading.sources))
    candidate = Candidate(Place(bench.papers_layer, "last"), rank)
    return _shared(fit_parts(bench.fitted_on, [candidate], plan))


def of_members(bench: Bench, members: Sequence[Candidate]) -> Fitted:
    """Ours, of the given places."""
    return _shared(fit_parts(bench.fitted_on, members, bench.plan))


def all_layers(bench: Bench) -> Fitted:
    """Ours at the last token of every block that a gate may run, in equal shares."""
    places = [place for place in bench.places if place.reading == "last"]
    return of_members(bench, [Candidate(place, len(bench.reading.sources)) for place in places])


def whitened(bench: Bench) -> Fitted:
    """Whitened difference in means at the best single place."""
    place = bench.single.place
    return _of_score(bench, place, partial(score, fit_whitened(_rows(bench, place))))


def mlp(bench: Bench) -> Fitted:
    """A perceptron at the best single place."""
    place = bench.single.place
    network = fit_mlp(_rows(bench, place), np.random.default_rng(0))
    return _of_score(bench, place, network.score)


def _rows(bench: Bench, place: Place) -> dict[str, TwoClass]:
    return by_language(bench.fitted_on, place.layer, bench.reading.sources, place.reading)


def _of_score(bench: Bench, place: Place, score_rows: Callable[[FloatArray], FloatArray]) -> Fitted:
    def scores(activations: Activations, language: str) -> TwoClass:
        rows = by_language(activations, place.layer, (language,), place.reading)[language]
        return TwoClass(score_rows(rows.harmful), score_rows(rows.harmless))

    source = source_of({la: scores(bench.fitted_on, la) for la in bench.reading.sources})
    return Fitted(scores, lambda la: source, True, f"block {place.layer} {place.reading}")


def turned(bench: Bench, *, rotate: bool) -> Fitted:
    """The best single place, with each language carried onto English by parallel prompts."""
    part = fit_parts(bench.fitted_on, [bench.single], bench.plan)
    (one,) = part.parts
    own = {}
    for language in LOW:
        target, english = _pairs(bench, one.place, language)
        alignment = align(target, english, one.basis, rotate=rotate)
        own[language] = aligned(one.folded, one.basis, alignment)
    return _own(own, one.place, lambda language: part.source)


def taught(bench: Bench) -> Fitted:
    """At the best single place, each language's prompts are given the score of their versions."""
    place, own = bench.single.place, {}
    calibration = bench.reading.activations["calibration"]
    for language in LOW:
        prompts = select(calibration.prompts, languages=(language,))
        rows = calibration.at(place.layer, reading=place.reading, language=language)
        own[language] = distil(rows, [bench.teacher[p.parallel_id] for p in prompts])
    return _own(own, place, lambda language: bench.ours.source)


def _pairs(bench: Bench, place: Place, language: str) -> tuple[FloatArray, FloatArray]:
    """Calibration prompts of a language and their English versions, row by row; no labels."""
    calibration, english = bench.reading.activations["calibration"], bench.reading.english
    row_of = {p.parallel_id: row for row, p in enumerate(english.prompts)}
    prompts = select(calibration.prompts, languages=(language,))
    source = english.at(place.layer, reading=place.reading)
    return (
        calibration.at(place.layer, reading=place.reading, language=language),
        source[[row_of[p.parallel_id] for p in prompts]],
    )


def _own(
    folded: Mapping[str, Folded], place: Place, source: Callable[[str], SourceStatistics]
) -> Fitted:
    def scores(activations: Activations, language: str) -> TwoClass:
        rows = by_language(activations, place.layer, (language,), place.reading)[language]
        return score_pair(folded[language], rows)

    return Fitted(scores, source, True, f"block {place.layer} {place.reading}")


def translate_train(bench: Bench, places: Sequence[Place], *, learned: bool = False) -> Fitted:
    """Each language's readout on translations of labelled prompts; by default those of the rest.

    Args:
        bench: the organism.
        places: that are read together.
        learned: on translations that the organism itself was trained on, in place of the others.
    """
    activations = bench.reading.activations["train" if learned else FITTED_ON]
    own = {language: fit_translations(activations, language, places) for language in LOW}
    return Fitted(
        lambda activations, language: own[language].scores(activations, language),
        lambda language: own[language].source,
        False,
        _words(next(iter(own.values()))),
    )


def text_alone(bench: Bench) -> Fitted:
    """No model: n-grams of characters, fitted on all translations that nobody is scored on."""
    own = {language: _text_classifier(bench, language) for language in LOW}

    def scores(activations: Activations, language: str) -> TwoClass:
        return TwoClass(
            *(
                own[language]([p.text for p in mine])
                for mine in (
                    select(activations.prompts, languages=(language,), harmful=harmful)
                    for harmful in (True, False)
                )
            )
        )

    sources = {la: source_of({la: scores(bench.fitted_on, la)}) for la in LOW}
    return Fitted(scores, sources.__getitem__, False, "the text")


def _text_classifier(bench: Bench, language: str) -> Callable[[Sequence[str]], FloatArray]:
    prompts = [
        prompt
        for split in ("train", FITTED_ON)
        for prompt in select(bench.reading.activations[split].prompts, languages=(language,))
    ]
    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)
    logistic: Any = LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000)
    logistic.fit(ngrams.fit_transform([p.text for p in prompts]), [p.harmful for p in prompts])
    return lambda texts: np.asarray(logistic.decision_function(ngrams.transform(texts)))


PAPER, OURS, TRANSLATED = "paper", "recal", "translate_train, all readings"
FITS: Mapping[str, Callable[[Bench], Fitted]] = MappingProxyType(
    {
        PAPER: paper,
        OURS: lambda bench: _shared(bench.ours),
        "best single place": lambda bench: of_members(bench, [bench.single]),
        "learned shares": lambda bench: of_members(bench, bench.ensemble(equal=False)),
        "best place of each reading": lambda bench: of_members(bench, bench.ensemble(equal=True)),
        "all layers, last token": all_layers,
        "whitened": whitened,
        "mlp": mlp,
        "aligned, shift": partial(turned, rotate=False),
        "aligned, rotation": partial(turned, rotate=True),
        "distil": taught,
        "translate_train, single place": lambda bench: translate_train(bench, [bench.single.place]),
        "translate_train, last token": lambda bench: translate_train(
            bench, [place for place in bench.places if place.reading == "last"]
        ),
        TRANSLATED: lambda bench: translate_train(bench, bench.places),
        f"{TRANSLATED}, learned prompts": lambda bench: translate_train(
            bench, bench.places, learned=True
        ),
        "control: text alone": text_alone,
    }
)
"""Ways to a readout by the name that tables show."""
