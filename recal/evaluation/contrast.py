"""The reference arm against the others: paired by language, draw and prompt."""

from __future__ import annotations

from collections.abc import Sequence

from recal.evaluation.arm import Arm
from recal.evaluation.catalogue import SAVED, UNTOUCHED
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import Comparison, PromptTest
from recal.evaluation.resamples import estimate
from recal.evaluation.tallied import Tallied
from recal.maths.comparison import bootstrap_p, holm, mcnemar

_REFERENCES = ("recal", SAVED, UNTOUCHED)


def reference_of(arms: Sequence[Arm], plan: EvaluationPlan) -> Arm:
    """The arm that the others are compared with: by its key, or a method's at its largest k.

    Raises:
        ValueError: the plan names one that is not run.
    """
    for name in (plan.reference,) if plan.reference else _REFERENCES:
        mine = [arm for arm in arms if name in (arm.key, arm.method.name)]
        if mine:
            return max(mine, key=lambda arm: arm.k)
    raise ValueError(
        f"`{plan.reference}` to compare with is not run; choose a method or one of "
        f"{', '.join(arm.key for arm in arms)}"
    )


def comparisons(this: Tallied, reference: Arm) -> tuple[Comparison, ...]:
    """Differences of Δ in every tier, with Holm's correction in each family of a tier."""
    others = [arm for arm in this.arms if arm.key != reference.key]
    found = []
    for tier, languages in this.groups.items():
        mine = this.resamples.delta(reference.key, languages)
        resampled = [mine - this.resamples.delta(arm.key, languages) for arm in others]
        p_values = [bootstrap_p(differences) for differences in resampled]
        adjusted = _by_family(others, p_values)
        for other, differences, p, p_holm in zip(
            others, resampled, p_values, adjusted, strict=True
        ):
            observed = [this.observed(arm.key, languages).delta for arm in (reference, other)]
            value = observed[0] - observed[1]
            found.append(Comparison(other.key, tier, estimate(value, differences), p, p_holm))
    return tuple(found)


def prompt_tests(this: Tallied, reference: Arm) -> tuple[PromptTest, ...]:
    """McNemar's test in every language, with Holm's correction in each family of a language."""
    others = [arm for arm in this.arms if arm.key != reference.key]
    found = []
    for part in this.parts:
        mine = this.cells[reference.key, part.language].right
        tests = [mcnemar(mine, this.cells[arm.key, part.language].right) for arm in others]
        adjusted = _by_family(others, [test.p for test in tests])
        for other, test, p_holm in zip(others, tests, adjusted, strict=True):
            found.append(
                PromptTest(
                    other=other.key,
                    language=part.language,
                    reference_only=test.first_only,
                    other_only=test.second_only,
                    p=test.p,
                    p_holm=p_holm,
                )
            )
    return tuple(found)


def _by_family(others: Sequence[Arm], p_values: Sequence[float]) -> list[float]:
    """Holm over the arms that can be deployed, and over the bounds, which are another question."""
    adjusted = list(p_values)
    for bounds in (False, True):
        rows = [row for row, arm in enumerate(others) if arm.method.sees_labels is bounds]
        if rows:
            for row, p in zip(rows, holm([p_values[row] for row in rows]), strict=True):
                adjusted[row] = float(p)
    return adjusted
