"""Where the points are lost: from a perfect Δ of 100 down to the one that was observed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recal.maths.judge_error import rogan_gladen


@dataclass(frozen=True)
class JudgeError:
    """How often a judge is right, from human labels."""

    sensitivity: float
    """Share of true refusals that it calls refusals, in [0, 1]."""
    specificity: float
    """Share of other answers that it does not call refusals, in [0, 1]."""

    def __post_init__(self) -> None:
        for name in ("sensitivity", "specificity"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"`{name}` is {value}; it lies between 0 and 1")
        if self.informedness <= 0:
            raise ValueError(
                f"a judge with sensitivity {self.sensitivity:g} and specificity "
                f"{self.specificity:g} is no better than chance; no rate can be corrected by it"
            )

    @property
    def informedness(self) -> float:
        """Sensitivity + specificity - 1: by what factor the judge shrinks every difference."""
        return self.sensitivity + self.specificity - 1

    def corrected(self, rate: float) -> float:
        """The true refusal rate behind an observed one, both in points.

        Not clipped: a value outside of 0 to 100 says that the error rates do not fit these answers.

        Raises:
            ValueError: the rate is not finite.

        Source: Rogan and Gladen 1978, American Journal of Epidemiology 107.
        """
        if not math.isfinite(rate):
            raise ValueError(f"the observed rate is {rate}; it must be finite")
        known = {"sensitivity": self.sensitivity, "specificity": self.specificity}
        return 100.0 * float(rogan_gladen(rate / 100.0, **known))


PERFECT = JudgeError(1.0, 1.0)
"""A judge that makes no mistake: nothing is corrected."""


@dataclass(frozen=True)
class Decomposition:
    """What separates a perfect gate, model and judge (Δ = 100) from the observed Δ, in points.

    The three losses add up to 100 - Δ. A loss may be negative: the untouched model refuses some of
    what a gate misses.
    """

    delta: float
    """Observed."""
    gate_loss: float
    """Of the true Δ, what the method loses against the oracle gate."""
    actuation_loss: float
    """What the oracle gate still loses: steered prompts answered, released ones refused."""
    judge_loss: float
    """What the judge's mistakes take from the true Δ."""

    @property
    def total(self) -> float:
        """All losses: 100 - Δ."""
        return self.gate_loss + self.actuation_loss + self.judge_loss


def decompose(delta: float, oracle_delta: float, error: JudgeError = PERFECT) -> Decomposition:
    """Split the distance from 100 points into gate, actuation and judge.

    Args:
        delta: the method's observed Δ, in points.
        oracle_delta: that of the oracle gate (true labels, same steering), same prompts and judge.
        error: of the judge, taken to be the same for both classes and methods.

    Raises:
        ValueError: a Δ is not finite.

    Source: the oracle-gate comparison for arXiv:2606.01196; the judge's term is Rogan-Gladen's.
    """
    for name, value in (("delta", delta), ("oracle_delta", oracle_delta)):
        if not math.isfinite(value):
            raise ValueError(f"`{name}` is {value}; it must be finite")
    return decompose_true(
        delta, true=delta / error.informedness, oracle=oracle_delta / error.informedness
    )


def decompose_true(delta: float, *, true: float, oracle: float) -> Decomposition:
    """As `decompose`, where the true Δ behind both is known: the judge may err by language.

    Args:
        delta: the method's observed Δ, in points.
        true: what it is once the judge's errors are taken out.
        oracle: the same of the oracle gate.

    Raises:
        ValueError: a Δ is not finite.
    """
    for name, value in (("delta", delta), ("true", true), ("oracle", oracle)):
        if not math.isfinite(value):
            raise ValueError(f"`{name}` is {value}; it must be finite")
    return Decomposition(
        delta=delta,
        gate_loss=oracle - true,
        actuation_loss=100.0 - oracle,
        judge_loss=true - delta,
    )
