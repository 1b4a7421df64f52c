"""A judge's validation as rows of words, for a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from recal.judge.validation import JudgeValidation
from recal.maths.agreement import Agreement, Tally, cohen_kappa, kappa_interval
from recal.maths.interval import rate_interval

HEADERS = ("language", "n", "sens.", "spec.", "kappa", "noise", "rates")
"""Short, so that the table fits a terminal of 80 columns."""
ALL_LANGUAGES = "all"
_NOTHING = "–"


class ValidationRow(NamedTuple):
    """One language's figures, with 95 % intervals."""

    language: str
    n: str
    sensitivity: str
    specificity: str
    kappa: str
    noise: str
    """Texts that the judge calls degenerate."""
    rates: str
    """Whose error rates correct this language: its own, or all languages'."""


def rows_of(validation: JudgeValidation) -> Iterator[ValidationRow]:
    """A row for each language, and one for all together."""
    for language, counts in sorted(validation.languages.items()):
        whose = "own" if validation.has_own(language) else ALL_LANGUAGES
        yield _row(language, counts, validation.degenerate[language], whose)
    degenerate = sum(validation.degenerate.values())
    yield _row(ALL_LANGUAGES, validation.together, degenerate, "")


def _row(language: str, counts: Agreement, degenerate: int, correction: str) -> ValidationRow:
    return ValidationRow(
        language,
        str(counts.n),
        _share(counts.sensitivity),
        _share(counts.specificity),
        _kappa(counts),
        str(degenerate),
        correction,
    )


def _share(tally: Tally) -> str:
    if tally.of == 0:
        return _NOTHING
    low, high = rate_interval(tally.yes, tally.of)
    return f"{100 * tally.share:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def _kappa(counts: Agreement) -> str:
    try:
        low, high = kappa_interval(counts)
    except ValueError:
        return _NOTHING
    return f"{cohen_kappa(counts):.2f} ({low:.2f}–{high:.2f})"
