"""Methods that decide by a score: a threshold from a few examples, a saved one, or the best one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recal.collect import Activations
from recal.evidence import Beside
from recal.maths.threshold import source_threshold
from recal.maths.two_class import FloatArray, checked_scores
from recal.method import Examples, Questions
from recal.recalibrate import RecalibrationPlan, calibrate_source, recalibrate_together
from recal.scoring import Scorer, scores_through
from recal.trials import Refuses
from services.gate.policy import action_of_score
from services.generation.treatment import Treatment
from services.readout.bundle import Calibration, Readout, Steering, Thresholds


def scored(questions: Questions, readout: Scorer) -> FloatArray:
    """(n,) the readout's scores.

    Raises:
        ValueError: a place that it reads was not collected, or a score is not finite.
    """
    found = scores_through(readout, questions.residuals)
    return checked_scores(f"scores of `{questions.language}`", found)


def gated(scores: FloatArray, thresholds: Thresholds, steering: Steering) -> list[Treatment]:
    """What serving would do to each prompt under these thresholds.

    Raises:
        ValueError: a score is not finite.
    """
    actions = [
        action_of_score(float(score), steer=thresholds.steer, release=thresholds.release)
        for score in scores
    ]
    known = {action: Treatment(action, steering) for action in set(actions)}
    return [known[action] for action in actions]


@dataclass(frozen=True, eq=False)
class FewShot:
    """A threshold from k examples a class, by one plan; source languages keep the readout's own."""

    name: str
    title: str
    readout: Readout
    plan: RecalibrationPlan
    pool: Activations
    """Calibration prompts; those of a source language set its threshold."""
    pairs: bool = False
    """True: the pool's prompts and their translations in a source language are given beside the
    examples, without labels."""
    refuses: Refuses | None = None
    """Says what source languages would lose by releasing; None: all that is harmful counts as lost.
    """
    sees_labels: bool = False
    _sources: dict[str, Thresholds] = field(default_factory=dict, repr=False)
    """By source language."""
    _drawn: dict[tuple[int, int], Mapping[str, Thresholds]] = field(
        default_factory=dict, repr=False
    )
    """By k and draw: found for all languages at once, for each is the others' prior."""

    def needs_examples(self, language: str) -> bool:
        """True unless the readout was fitted on the language."""
        return language not in self.readout.source_languages

    def is_frozen(self, language: str) -> bool:
        """True: the readout is the frozen one."""
        return True

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        """The readout's, whatever the examples; errors as `scored`."""
        return scored(questions, self.readout)

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """Those of the calibration that `recal recalibrate` would save, beside the others' saved.

        Raises:
            ValueError: no examples were given, or as `recalibrate`.
        """
        if not self.needs_examples(language):
            return self._of_source(language)
        if examples is None:
            raise ValueError(f"`{self.name}` needs examples of `{language}`; give k of at least 1")
        draw = (examples.k, examples.draw)
        if draw not in self._drawn:
            self._drawn[draw] = self._of_all(examples.activations)
        return self._drawn[draw][language]

    def _of_all(self, examples: Activations) -> Mapping[str, Thresholds]:
        given = dict.fromkeys(prompt.language for prompt in examples.prompts)
        languages = [language for language in given if self.needs_examples(language)]
        beside = {la: self._beside(la) for la in languages} if self.pairs else None
        made = recalibrate_together(
            self.readout, examples, languages, plan=self.plan, beside=beside
        )
        return {language: each.calibration.thresholds for language, each in made.items()}

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts; errors as `scores` and `thresholds`."""
        thresholds = self.thresholds(questions.language, examples)
        return gated(self.scores(questions, examples), thresholds, self.readout.steering)

    def _beside(self, language: str) -> Beside:
        known = {prompt.language for prompt in self.pool.prompts}
        source = next((la for la in self.readout.source_languages if la in known), None)
        if source is None:
            raise ValueError(
                f"`{self.name}` needs prompts of a source language beside those of `{language}`; "
                f"evaluate one of {', '.join(self.readout.source_languages)} too"
            )
        rows = [row for row, p in enumerate(self.pool.prompts) if p.language in (language, source)]
        return Beside(parallel=self.pool.subset(rows))

    def _of_source(self, language: str) -> Thresholds:
        if self.plan.routing == "two_way":
            return Thresholds(self.readout.source_threshold, self.readout.source_threshold)
        if language not in self._sources:
            made = calibrate_source(self.readout, self.pool, language, refuses=self.refuses)
            self._sources[language] = made.thresholds
        return self._sources[language]


@dataclass(frozen=True, eq=False)
class Saved:
    """The saved calibrations as they are: what would be registered."""

    readout: Readout
    calibrations: Mapping[str, Calibration]
    name: str = "saved"
    title: str = "saved calibrations"
    sees_labels: bool = False

    def needs_examples(self, language: str) -> bool:
        """False: they were made from examples before."""
        return False

    def is_frozen(self, language: str) -> bool:
        """True where the calibration has no readout of its own."""
        return self.scorer(language) is self.readout

    def scorer(self, language: str) -> Scorer:
        """What the calibration's thresholds are held against; errors as `thresholds`."""
        own = self._calibration(language).own
        return self.readout if own is None else own

    def scores(self, questions: Questions, examples: Examples | None) -> FloatArray:
        """Those of `scorer`, whatever the examples; errors as `scored`."""
        return scored(questions, self.scorer(questions.language))

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """Those that were saved.

        Raises:
            ValueError: none were for this language.
        """
        return self._calibration(language).thresholds

    def _calibration(self, language: str) -> Calibration:
        if language not in self.calibrations:
            raise ValueError(
                f"no saved calibration of `{language}`; run `recal recalibrate --language "
                f"{language}`, or leave the language out"
            )
        return self.calibrations[language]

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts; errors as `scores` and `thresholds`."""
        thresholds = self.thresholds(questions.language, examples)
        return gated(self.scores(questions, examples), thresholds, self.readout.steering)


@dataclass(frozen=True, eq=False)
class BestThreshold:
    """Two-way routing at the threshold with the best J on these very prompts: an upper bound.

    It bounds what any threshold of this readout can decide, not what acting on it brings.
    """

    readout: Readout
    name: str = "best"
    title: str = "best threshold of this readout"
    sees_labels: bool = True

    def needs_examples(self, language: str) -> bool:
        """False: it looks at the labels of the prompts that it is tested on."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts at their own best threshold.

        Raises:
            ValueError: a class is missing, or as `scored`.
        """
        harmful, scores = questions.harmful, scored(questions, self.readout)
        best = source_threshold(scores[harmful], scores[~harmful], standard_errors=0.0)
        return gated(scores, Thresholds(best, best), self.readout.steering)
