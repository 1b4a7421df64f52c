"""What published baselines are fitted on: training and validation prompts, never a test prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from recal.baselines.suffixes import SuffixPair
from recal.collect import Activations, refuse_missing_class
from recal.judge import Judge
from recal.languages import HIGH, MID
from recal.prompts import Prompt, Split, select, spread
from recal.trials import TreatedModel, TrialRun
from services.backbone.load import Backbone

N_ANCHORS = 96
"""Training prompts per class and language; as many as a readout is fitted on by default."""
N_VALIDATION = 2
"""Validation prompts per class and language; as many as our own search for a steering asks."""
N_EXAMPLES = 24
"""Training prompts per class and source language that CAST's condition is found on."""

Told = Callable[[str, int, int], None]
"""Called with a step's name, how many texts of it are done and how many there are."""


class Allotted(NamedTuple):
    """Which prompts baselines are fitted on, and what for."""

    anchors: list[Prompt]
    """Of the training split."""
    validation: list[Prompt]
    sources: tuple[str, ...]
    """Languages of the anchors that vectors and laws are fitted on."""
    development: tuple[str, ...]
    """Languages whose anchors choose among blocks."""


@dataclass(frozen=True, eq=False)
class Fitting:
    """One backbone with what a baseline is fitted on."""

    backbone: Backbone
    anchors: Activations
    """Of training prompts at every block, in every reading."""
    validation: Sequence[Prompt]
    sources: tuple[str, ...]
    development: tuple[str, ...]
    suffixes: Mapping[str, Sequence[SuffixPair]]
    """How this backbone's answers begin, by language."""
    model: TreatedModel
    judge: Judge
    told: Told = lambda step, done, total: None

    def run(self, step: str, n_strengths: int) -> TrialRun:
        """A new run of trials that counts the texts of so many strengths under the step's name."""
        n_texts = n_strengths * len(self.validation)
        return TrialRun(
            self.model, self.judge, n_texts=n_texts, report=partial(self.told, f"{step}: texts")
        )

    @property
    def examples(self) -> Activations:
        """The anchors of source languages that a condition is found on."""
        mine = select(self.anchors.prompts, languages=self.sources)
        chosen = {id(prompt) for prompt in at_most(mine, N_EXAMPLES)}
        rows = [row for row, p in enumerate(self.anchors.prompts) if id(p) in chosen]
        return self.anchors.subset(rows)


def allot(prompts: Sequence[Prompt], sources: Sequence[str]) -> Allotted:
    """Choose what baselines are fitted on: the readout's source languages, and others to develop.

    Args:
        prompts: of every split.
        sources: languages that the readout was fitted on; the other high- and mid-resource ones
            develop, and no low-resource one does.

    Raises:
        ValueError: a source lacks a class in the training or the validation split.
    """
    parts: dict[Split, list[Prompt]] = {
        split: select(prompts, split=split, languages=[*sources, *HIGH, *MID])
        for split in ("train", "validation")
    }
    for split, part in parts.items():
        refuse_missing_class(part, sources, split)
    known = dict.fromkeys(p.language for p in parts["train"])
    return Allotted(
        anchors=at_most(parts["train"], N_ANCHORS),
        validation=at_most(parts["validation"], N_VALIDATION),
        sources=tuple(sources),
        development=tuple(language for language in known if language not in sources),
    )


def at_most(prompts: Sequence[Prompt], n: int) -> list[Prompt]:
    """As `spread`, with fewer in a language that has fewer of a class; as many of both classes."""
    found: list[Prompt] = []
    for language in dict.fromkeys(p.language for p in prompts):
        mine = select(prompts, languages=(language,))
        found += spread(mine, min(n, *Counter(p.harmful for p in mine).values()))
    return found
