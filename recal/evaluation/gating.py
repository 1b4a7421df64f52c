"""What a method steers, over many draws of few-shot examples; nothing is generated for it."""

from __future__ import annotations

import numpy as np

from recal.evaluation.arm import Arm
from recal.evaluation.held import Deck, HeldOut
from recal.evaluation.report import Gate
from recal.maths.over_draws import spread
from recal.maths.two_class import BoolArray
from recal.method import Thresholded
from services.domain import Action


def gate_of(arm: Arm, part: HeldOut, deck: Deck, *, n_draws: int) -> Gate:
    """The gate's rates in one language, over draws where its examples decide.

    Raises:
        ValueError: as the method's own errors.
    """
    numbers = range(1, n_draws + 1) if arm.k_of(part.language) else range(1, 2)
    questions = part.questions(arm.method)
    thresholds: list[float] = []
    rates = []
    for number in numbers:
        examples = deck.examples(arm, part.language, number)
        if isinstance(arm.method, Thresholded):
            steer = arm.method.thresholds(part.language, examples).steer
            steered = arm.method.scores(questions, examples) >= steer
            if arm.method.is_frozen(part.language):
                thresholds.append(steer)
        else:
            treated = arm.method.treat(questions, examples)
            steered = np.array([t.action is Action.STEER for t in treated])
        rates.append(_rates(steered, part.harmful))
    tpr, fpr = np.array(rates).T
    return Gate(
        j=spread(tpr - fpr),
        tpr=float(tpr.mean()),
        fpr=float(fpr.mean()),
        steer_thresholds=tuple(thresholds),
    )


def _rates(steered: BoolArray, harmful: BoolArray) -> tuple[float, float]:
    return 100.0 * float(steered[harmful].mean()), 100.0 * float(steered[~harmful].mean())
