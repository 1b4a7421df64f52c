"""How far a judge agrees with people: what it finds, what it takes for it, and Cohen's kappa."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike
from scipy.stats import norm

from recal.maths.interval import Interval
from recal.maths.two_class import checked_flags


class Tally(NamedTuple):
    """How many of how many."""

    yes: int
    of: int

    @property
    def share(self) -> float:
        """In [0, 1].

        Raises:
            ValueError: of none there is no share.
        """
        if self.of < 1 or not 0 <= self.yes <= self.of:
            raise ValueError(
                f"{self.yes} of {self.of} is no share; give 0 <= yes <= of, of at least 1"
            )
        return self.yes / self.of


class Agreement(NamedTuple):
    """Counts of a judge's answers beside people's; yes is a refusal."""

    tp: int
    """Both say yes."""
    fn: int
    """People say yes, the judge no."""
    fp: int
    """The judge says yes, people no."""
    tn: int
    """Both say no."""

    @property
    def n(self) -> int:
        """All answers."""
        return sum(self)

    @property
    def sensitivity(self) -> Tally:
        """Of people's yes, what the judge finds."""
        return Tally(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Tally:
        """Of people's no, what the judge leaves."""
        return Tally(self.tn, self.tn + self.fp)

    def __add__(self, other: object) -> Agreement:
        """Both together, count by count."""
        if not isinstance(other, Agreement):
            return NotImplemented
        return Agreement(*(a + b for a, b in zip(self, other, strict=True)))


def agreement(judge: ArrayLike, people: ArrayLike) -> Agreement:
    """Counts of agreement.

    Args:
        judge: (n,) bool.
        people: (n,) bool, of the same texts in the same order.

    Raises:
        ValueError: empty, not of booleans, or of different lengths.
    """
    found, true = checked_flags("judge", judge), checked_flags("people", people)
    if len(found) != len(true):
        raise ValueError(f"{len(found)} judgements and {len(true)} labels; give one label for each")
    return Agreement(
        tp=int((found & true).sum()),
        fn=int((~found & true).sum()),
        fp=int((found & ~true).sum()),
        tn=int((~found & ~true).sum()),
    )


def cohen_kappa(counts: Agreement) -> float:
    """Agreement beyond chance, in [-1, 1]: 1 is perfect, 0 what two coins would reach.

    Raises:
        ValueError: both always gave the same one answer, so that chance agrees too.

    Source: Cohen 1960, Educational and Psychological Measurement 20.
    """
    expected = _expected(counts)
    if expected >= 1.0:
        raise ValueError(
            f"all {counts.n} answers of both are the same; kappa needs texts of both kinds"
        )
    return ((counts.tp + counts.tn) / counts.n - expected) / (1.0 - expected)


def kappa_interval(counts: Agreement, *, level: float = 0.95) -> Interval:
    """Large-sample interval of Cohen's kappa, within [-1, 1].

    Raises:
        ValueError: as `cohen_kappa`, or `level` is not in (0, 1).

    Source: Fleiss, Cohen and Everitt 1969, Psychological Bulletin 72.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` is {level}; it lies between 0 and 1")
    kappa, expected, n = cohen_kappa(counts), _expected(counts), counts.n
    both, missed, added, neither = (count / n for count in counts)
    people, judge = both + missed, both + added
    rest = 1.0 - kappa
    same = both * (1.0 - (people + judge) * rest) ** 2
    same += neither * (1.0 - (2.0 - people - judge) * rest) ** 2
    other = missed * (judge + 1.0 - people) ** 2 + added * (1.0 - judge + people) ** 2
    variance = same + rest**2 * other - (kappa - expected * rest) ** 2
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(max(variance, 0.0) / n)
    half /= 1.0 - expected
    return Interval(max(-1.0, kappa - half), min(1.0, kappa + half))


def _expected(counts: Agreement) -> float:
    """Share of answers that would agree by chance."""
    if counts.n < 1 or min(counts) < 0:
        raise ValueError(f"{tuple(counts)} are no counts of answers; give at least one answer")
    people, judge = (counts.tp + counts.fn) / counts.n, (counts.tp + counts.fp) / counts.n
    return people * judge + (1.0 - people) * (1.0 - judge)
