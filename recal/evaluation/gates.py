"""Methods that decide by a score: a threshold from a few examples, a saved one, or the best one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recal.collect import Activations
from recal.evaluation.method import Examples, Questions
from recal.maths.threshold import source_threshold
from recal.recalibrate import RecalibrationPlan, calibrate_source, recalibrate_together
from services.domain import Action
from services.gate.policy import action_of_score
from services.generation.treatment import Treatment
from services.readout.bundle import Calibration, Readout, Thresholds


def treatments_of(actions: Sequence[Action], readout: Readout) -> list[Treatment]:
    """Each action with the readout's steering."""
    known = {action: Treatment(action, readout.steering) for action in set(actions)}
    return [known[action] for action in actions]


def gated(questions: Questions, thresholds: Thresholds, readout: Readout) -> list[Treatment]:
    """What serving would do to each prompt under these thresholds.

    Raises:
        ValueError: a score is not finite.
    """
    actions = [
        action_of_score(float(score), steer=thresholds.steer, release=thresholds.release)
        for score in questions.scores
    ]
    return treatments_of(actions, readout)


@dataclass(frozen=True, eq=False)
class FewShot:
    """A threshold from k examples a class, by one plan; source languages keep the readout's own."""

    name: str
    title: str
    readout: Readout
    plan: RecalibrationPlan
    pool: Activations
    """Calibration prompts; those of a source language measure how sure its threshold is."""
    sees_labels: bool = False
    _drawn: dict[tuple[int, int], Mapping[str, Thresholds]] = field(
        default_factory=dict, repr=False
    )
    """By k and draw: found for all languages at once, for each is the others' prior."""

    def needs_examples(self, language: str) -> bool:
        """True unless the readout was fitted on the language."""
        return language not in self.readout.source_languages

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
        made = recalibrate_together(self.readout, examples, languages, plan=self.plan)
        return {language: each.calibration.thresholds for language, each in made.items()}

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts; errors as `thresholds`."""
        return gated(questions, self.thresholds(questions.language, examples), self.readout)

    def _of_source(self, language: str) -> Thresholds:
        if self.plan.routing == "two_way":
            return Thresholds(self.readout.source_threshold, self.readout.source_threshold)
        return calibrate_source(self.readout, self.pool, language, c=self.plan.c).thresholds


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

    def thresholds(self, language: str, examples: Examples | None) -> Thresholds:
        """Those that were saved.

        Raises:
            ValueError: none were for this language.
        """
        if language not in self.calibrations:
            raise ValueError(
                f"no saved calibration of `{language}`; run `recal recalibrate --language "
                f"{language}`, or leave the language out"
            )
        return self.calibrations[language].thresholds

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Gate the prompts; errors as `thresholds`."""
        return gated(questions, self.thresholds(questions.language, examples), self.readout)


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
            ValueError: a class is missing.
        """
        harmful = questions.harmful
        best = source_threshold(
            questions.scores[harmful], questions.scores[~harmful], standard_errors=0.0
        )
        return gated(questions, Thresholds(best, best), self.readout)


@dataclass(frozen=True, eq=False)
class OracleGate:
    """The true labels decide: what is then still lost, acting loses."""

    readout: Readout
    name: str = "oracle"
    title: str = "oracle gate"
    sees_labels: bool = True

    def needs_examples(self, language: str) -> bool:
        """False: it is given every label."""
        return False

    def treat(self, questions: Questions, examples: Examples | None) -> list[Treatment]:
        """Steer the harmful prompts and release the others."""
        actions = [Action.STEER if label else Action.RELEASE for label in questions.harmful]
        return treatments_of(actions, self.readout)
