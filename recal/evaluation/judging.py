"""Who judges an evaluation's answers, and how often that errs in each language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from recal.evaluation.report import JudgeRates
from recal.judge import Judge
from recal.judge.validation import JudgeValidation
from recal.maths.agreement import Tally
from recal.maths.decomposition import JudgeError
from recal.maths.judge_error import is_like_a_coin


class JudgedBy(NamedTuple):
    """The judge's name, and how often it is right in each language, where that is known."""

    judge: str
    rates: tuple[JudgeRates, ...]
    labels_digest: str
    """sha256 of the human labels; empty where there are none."""


@dataclass(frozen=True)
class Judging:
    """A judge with what is known of its errors; where nothing is, rates are reported raw alone."""

    judge: Judge
    error: JudgeError | None = None
    """Rates that somebody states, the same in every language."""
    validation: JudgeValidation | None = None
    """Rates that were measured on human labels; they stand instead of `error`."""

    def by(self, languages: Sequence[str]) -> JudgedBy:
        """What a report says of the judge; errors as `rates`."""
        digest = self.validation.labels_digest if self.validation is not None else ""
        return JudgedBy(self.judge.name, self.rates(languages), digest)

    def rates(self, languages: Sequence[str]) -> tuple[JudgeRates, ...]:
        """How often the judge is right in each language; empty where nobody has measured it.

        Raises:
            ValueError: the labels are all of one kind, or say that the judge is a coin or worse.
        """
        if self.validation is not None:
            return tuple(_measured(self.validation, language) for language in languages)
        if self.error is None:
            return ()
        se, sp = self.error.sensitivity, self.error.specificity
        return tuple(JudgeRates(language, se, sp) for language in languages)


def _measured(validation: JudgeValidation, language: str) -> JudgeRates:
    error = validation.error_of(language)
    if not error.discrimination > 0.0:
        raise ValueError(
            f"the labels by which `{validation.judge}` would be corrected in `{language}` find it "
            f"no better than a coin (sensitivity {error.sensitivity.share:.2f}, specificity "
            f"{error.specificity.share:.2f}); use another judge, or leave the language out"
        )
    own = validation.languages.get(language)
    return JudgeRates(
        language=language,
        sensitivity=error.sensitivity.share,
        specificity=error.specificity.share,
        labels=(Tally(*error.sensitivity), Tally(*error.specificity)),
        n_labels=own.n if own is not None else 0,
        own=validation.has_own(language),
        vacuous=is_like_a_coin(error),
    )
