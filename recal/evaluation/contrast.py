"""The reference arm against the others: paired by language, draw and prompt."""

from __future__ import annotations

from collections.abc import Sequence

from recal.evaluation.catalogue import SAVED, UNTOUCHED
from recal.evaluation.method import Arm
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report import Comparison, PromptTest
from recal.evaluation.resamples import estimate
from recal.evaluation.tallied import Tallied
from recal.maths.comparison import bootstrap_p, holm, mcnemar

_REFERENCES = ("recal", SAVED, UNTOUCHED)


def reference_of(arms: Sequence[Arm], plan: EvaluationPlan) -> Arm:
    """The arm that the others are compared with: the named method's, at its largest k.

    Raises:
        ValueError: the plan names a method that is not run.
    """
    for name in (plan.reference,) if plan.reference else _REFERENCES:
        mine = [arm for arm in arms if arm.method.name == name]
        if mine:
            return max(mine, key=lambda arm: arm.k)
    names = dict.fromkeys(arm.method.name for arm in arms)
    raise ValueError(
        f"the method `{plan.reference}` to compare with is not run; choose from {', '.join(names)}"
    )


def comparisons(this: Tallied, reference: Arm) -> tuple[Comparison, ...]:
    """Differences of Δ in every tier; Holm over the other arms of a tier."""
    others = [arm.key for arm in this.arms if arm.key != reference.key]
    found = []
    for tier, languages in this.groups.items():
        mine = this.resamples.delta(reference.key, languages)
        resampled = [mine - this.resamples.delta(other, languages) for other in others]
        p_values = [bootstrap_p(differences) for differences in resampled]
        adjusted: Sequence[float] = list(holm(p_values)) if others else []
        for other, differences, p, p_holm in zip(
            others, resampled, p_values, adjusted, strict=True
        ):
            value = this.delta(reference.key, languages) - this.delta(other, languages)
            found.append(Comparison(other, tier, estimate(value, differences), p, float(p_holm)))
    return tuple(found)


def prompt_tests(this: Tallied, reference: Arm) -> tuple[PromptTest, ...]:
    """McNemar's test in every language; Holm over the other arms of a language."""
    others = [arm.key for arm in this.arms if arm.key != reference.key]
    found = []
    for part in this.parts:
        mine = this.cells[reference.key, part.language].right
        tests = [mcnemar(mine, this.cells[other, part.language].right) for other in others]
        adjusted: Sequence[float] = list(holm([t.p for t in tests])) if others else []
        for other, test, p_holm in zip(others, tests, adjusted, strict=True):
            found.append(
                PromptTest(
                    other=other,
                    language=part.language,
                    reference_only=test.first_only,
                    other_only=test.second_only,
                    p=test.p,
                    p_holm=float(p_holm),
                )
            )
    return tuple(found)
