"""A language's own readout as a method: its weights whatever the draw, thresholds from examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recal.baselines.fitting import at_most
from recal.collect import Activations
from recal.direction_readout import DIRECTION, direction_of
from recal.evaluation.gates import FewShot, gated, scored
from recal.maths.two_class import FloatArray
from recal.method import Examples, Questions
from recal.own_readout import FittedOwn, NotBetter, OwnMethod, fit_own
from recal.prompts import Prompt, select
from recal.recalibrate import recalibrate
from services.generation.treatment import Treatment
from services.readout.bundle import Thresholds

N_TRANSLATIONS = 100
"""Of each class and language: what `recal recalibrate` asks for, and as much again."""


@dataclass(frozen=True, eq=False)
class OwnGate:
    """Recal by a readout of a language's own, where it has one.

    Where it has none, and in languages that the readout was fitted on, it is Recal.
    """

    name: str
    title: str
    ours: FewShot
    """Recal with the frozen readout."""
    owns: Mapping[str, FittedOwn]
    """By language, of those that are to be scored by one."""
    sees_labels: bool = False
    _drawn: dict[tuple[str, int, int], Thresholds] = field(default_factory=dict, repr=False)
    """By language, k and draw."""

    def needs_examples(self, language: str) -> bool:
        """As Recal."""
        return self.ours.needs_examples(language)

    def is_frozen(self, language: str) -> bool:
        """False where the language has its own readout."""
        return language not in self.owns

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        """The own readout's, whatever the examples; errors as `scored`."""
        if self.is_frozen(questions.language):
            return self.ours.scores(questions, examples)
        return scored(questions, self.owns[questions.language].readout)

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """Those of the calibration that `recal recalibrate --own` would save.

        Raises:
            ValueError: no examples were given, or as `recalibrate`.
        """
        if self.is_frozen(language):
            return self.ours.thresholds(language, examples)
        if examples is None:
            raise ValueError(f"`{self.name}` needs examples of `{language}`; give k of at least 1")
        draw = (language, examples.k, examples.draw)
        if draw not in self._drawn:
            made = recalibrate(
                self.ours.readout,
                examples.activations,
                language,
                plan=self.ours.plan,
                own=self.owns[language],
            )
            self._drawn[draw] = made.calibration.thresholds
        return self._drawn[draw]

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts; errors as `scores` and `thresholds`."""
        thresholds = self.thresholds(questions.language, examples)
        return gated(self.scores(questions, examples), thresholds, self.ours.readout.steering)


def own_gate(method: OwnMethod, title: str, ours: FewShot, translations: Activations) -> OwnGate:
    """Fit every language's own readout; one that is not better than the frozen is left out.

    Args:
        method: how to fit.
        title: what people read.
        ours: Recal with the frozen readout.
        translations: as `translations_of` chooses them.

    Raises:
        ValueError: as `fit_own`, but not for a readout that is no better.
    """
    readout = ours.readout
    languages = dict.fromkeys(p.language for p in translations.prompts)
    known = [
        i for i, p in enumerate(translations.prompts) if p.language in readout.source_languages
    ]
    sources = translations.subset(known) if method == "distil" else None
    owns = {}
    for language in languages:
        if language in readout.source_languages:
            continue
        try:
            owns[language] = fit_own(
                readout, translations, language, method=method, sources=sources
            )
        except NotBetter:
            continue
    return OwnGate(method, title, ours, owns)


def direction_gate(title: str, ours: FewShot) -> OwnGate:
    """The direction readout in every language that the readout was not fitted on, better or not.

    Args:
        title: what people read.
        ours: Recal with the frozen readout.

    Raises:
        ValueError: the readout keeps none.
    """
    languages = dict.fromkeys(p.language for p in ours.pool.prompts)
    owns = {la: direction_of(ours.readout, la) for la in languages if ours.needs_examples(la)}
    return OwnGate(DIRECTION, title, ours, owns)


def translations_of(
    prompts: Sequence[Prompt], languages: Sequence[str], sources: Sequence[str]
) -> list[Prompt]:
    """Training prompts that stand in for translations, and what they were translated from.

    Args:
        prompts: of every split and language.
        languages: that are evaluated; those among the sources need none.
        sources: languages that the readout was fitted on.
    """
    train = select(prompts, split="train")
    mine = at_most(
        [p for p in train if p.language in set(languages) - set(sources)], N_TRANSLATIONS
    )
    meanings = {p.parallel_id for p in mine}
    return [*mine, *(p for p in train if p.language in sources and p.parallel_id in meanings)]
