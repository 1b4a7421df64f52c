"""An organism, read: activations, and the readout of its high-resource languages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from benchmarks.science.prompt_sets import HIGH, PromptSets, languages_scored
from recal.choose import choose
from recal.collect import Activations, collect
from recal.fit import FitPlan, by_language
from recal.maths.logistic import score
from recal.maths.readout import FittedReadout, fit_readout
from recal.maths.two_class import TwoClass, stacked
from recal.prompts import Prompt, Split, draw, select
from services.backbone.load import Backbone

RANK = 10
"""Of the subspace; the whole span where fewer languages fit the readout."""
FITTED_ON: Split = "validation"
"""What a readout is fitted on. Not the training split: the organism has learned those labels by
heart, so that every layer tells them apart and their scores lie farther out than any new prompt's.
"""
N_ACTING, N_ACTING_QUICK = 8, 2
"""Validation prompts a class and high-resource language that choose where and how to act."""
SPLITS: tuple[Split, ...] = ("train", "validation", "calibration", "test")


class Labelled(NamedTuple):
    """Prompts of both classes."""

    harmful: list[Prompt]
    harmless: list[Prompt]


@dataclass(frozen=True, eq=False)
class Reading:
    """One organism, read: residuals of every prompt, and the readout of its source languages."""

    name: str
    layer: int
    """Chosen by leave-one-language-out among the high-resource languages."""
    readout: FittedReadout
    activations: Mapping[Split, Activations]
    """At all layers, for whoever searches them."""
    english: Activations
    """Of the English translations of all calibration prompts."""
    languages: tuple[str, ...]
    """Those with scored prompts of both classes."""
    sources: tuple[str, ...]
    """Those that the readout was fitted on."""

    def residuals(self, split: Split, language: str) -> TwoClass:
        """Residuals of one language's prompts of a split, at the read layer."""
        return self._residuals[split, language]

    def scores(self, split: Split, language: str) -> TwoClass:
        """Scores of the same by the frozen readout."""
        return self._scores[split, language]

    def prompts(self, split: Split, language: str) -> Labelled:
        """The prompts, in the order of residuals and scores."""
        return self._prompts[split, language]

    def drawn(self, language: str, k: int, number: int) -> tuple[list[int], list[int]]:
        """Rows of one draw's harmful and harmless examples among the calibration prompts."""
        found = []
        for prompts in self.prompts("calibration", language):
            place = {prompt.id: row for row, prompt in enumerate(prompts)}
            found.append([place[p.id] for p in draw(prompts, k, number=number)])
        return found[0], found[1]

    @cached_property
    def source(self) -> TwoClass:
        """Projections on the readout's basis of all prompts that it was fitted on."""
        rows = stacked({language: self.residuals(FITTED_ON, language) for language in self.sources})
        return TwoClass(rows.harmful @ self.readout.basis, rows.harmless @ self.readout.basis)

    @cached_property
    def english_scores(self) -> dict[str, float]:
        """By parallel id, the score of a calibration prompt's English translation."""
        scores = score(self.readout.folded, self.english.at(self.layer))
        pairs = zip(self.english.prompts, scores, strict=True)
        return {prompt.parallel_id: float(value) for prompt, value in pairs}

    @cached_property
    def _residuals(self) -> dict[tuple[Split, str], TwoClass]:
        return {
            (split, language): by_language(found, self.layer, (language,))[language]
            for split, found in self.activations.items()
            for language in self.languages
        }

    @cached_property
    def _scores(self) -> dict[tuple[Split, str], TwoClass]:
        folded = self.readout.folded
        return {
            cell: TwoClass(score(folded, rows.harmful), score(folded, rows.harmless))
            for cell, rows in self._residuals.items()
        }

    @cached_property
    def _prompts(self) -> dict[tuple[Split, str], Labelled]:
        return {
            (split, la): Labelled(
                select(self.activations[split].prompts, languages=(la,), harmful=True),
                select(self.activations[split].prompts, languages=(la,), harmful=False),
            )
            for split, la in self._residuals
        }


def read(name: str, backbone: Backbone, sets: PromptSets, *, root: Path) -> Reading:
    """Collect what is not cached yet, choose the layer and fit the readout."""
    print(f"{name}: reading activations of {len(sets.prompts)} prompts", flush=True)
    cache = root / "activations"
    found: dict[Split, Activations] = {
        split: collect(backbone, select(sets.prompts, split=split), cache=cache) for split in SPLITS
    }
    languages = languages_scored(sets.prompts)
    sources = tuple(language for language in HIGH if language in languages)
    plan = FitPlan(source_languages=sources, development_languages=(), rank=RANK, reading="last")
    layer = _layer(backbone, found[FITTED_ON], plan, root)
    rows = by_language(found[FITTED_ON], layer, sources)
    return Reading(
        name=name,
        layer=layer,
        readout=fit_readout(rows, rank=min(RANK, len(sources))),
        activations=found,
        english=collect(backbone, sets.english, cache=cache),
        languages=languages,
        sources=sources,
    )


def _layer(backbone: Backbone, activations: Activations, plan: FitPlan, root: Path) -> int:
    """The layer that carries best, kept beside the activations: the choice takes a while."""
    weights = backbone.identity.weights_digest[:16]
    kept = root / "activations" / f"layer-{FITTED_ON}-{weights}.json"
    if kept.is_file():
        return int(json.loads(kept.read_text())["layer"])
    choice = choose(activations, plan)
    layer = choice.members[0].place.layer
    transfer = {str(tried.members[0].place.layer): tried.transfer for tried in choice.tried}
    kept.write_text(json.dumps({"layer": layer, "transfer": transfer}) + "\n")
    return layer
