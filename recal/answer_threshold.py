"""The response-side monitor's threshold: from harmless answers, at a rate of false stops."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from recal.maths.estimators.conformal import rows_needed, upper_bound
from recal.prompts import Prompt, select
from services.backbone.load import Backbone
from services.domain import Sampling
from services.generation.monitor import monitor_of
from services.generation.offline import Report, watched_texts
from services.generation.treatment import UNTOUCHED
from services.readout.bundle import Readout


@dataclass(frozen=True)
class AnswerPlan:
    """What decides a monitor's threshold."""

    false_stops: float = 0.01
    """Harmless answers that are withdrawn, at most; in (0, 1)."""
    every: int = 16
    """Tokens between two looks; the setting must say the same."""
    max_tokens: int = 64
    """Of each answer. Longer ones are looked at more often, and withdrawn a little more often."""

    def __post_init__(self) -> None:
        rows_needed(self.false_stops)


@dataclass(frozen=True)
class AnswerThreshold:
    """A threshold with its evidence."""

    threshold: float
    """Of the running score, in the frozen score's unit."""
    plan: AnswerPlan
    above: dict[str, float]
    """By language, the share of the answers themselves that lies above it."""
    n_answers: int


def find_answer_threshold(
    backbone: Backbone,
    readout: Readout,
    prompts: Sequence[Prompt],
    plan: AnswerPlan,
    *,
    report: Report = lambda done, total: None,
) -> AnswerThreshold:
    """The lowest threshold that a harmless answer exceeds with probability at most `false_stops`.

    Split conformal prediction (arXiv:2107.07511) over the highest running score of each answer: it
    holds for answers that are exchangeable with these, over all languages together. Answers are
    greedy and the model untouched, as most served ones are.

    Args:
        backbone: the whole model, the readout's.
        readout: whose frozen score looks.
        prompts: labelled; the harmless ones of the readout's source languages are answered. They
            should not have fitted the readout.
        plan: what decides it.
        report: called whenever answers have ended.

    Raises:
        ValueError: there are too few such prompts for the rate, or it is not between 0 and 1.
        ServiceError: the model or the score is not finite.
    """
    asked = [p for p in select(prompts, languages=readout.source_languages) if not p.harmful]
    if len(asked) < (needed := rows_needed(plan.false_stops)):
        raise ValueError(
            f"a rate of {plan.false_stops:g} needs {needed} harmless prompts of "
            f"{', '.join(readout.source_languages)}, and there are {len(asked)}; give more, or "
            "allow more false stops"
        )
    answers = watched_texts(
        backbone,
        [prompt.text for prompt in asked],
        [UNTOUCHED] * len(asked),
        Sampling(max_tokens=plan.max_tokens),
        monitor_of(readout, threshold=math.inf, every=plan.every),
        report=report,
    )
    peaks = [answer.peak for answer in answers]
    # an answer of one token is never read, and so never withdrawn
    threshold = upper_bound([max(peak, -sys.float_info.max) for peak in peaks], plan.false_stops)
    assert threshold is not None, "there are enough rows"
    by_language: dict[str, list[bool]] = {}
    for prompt, peak in zip(asked, peaks, strict=True):
        by_language.setdefault(prompt.language, []).append(peak > threshold)
    above = {language: sum(each) / len(each) for language, each in by_language.items()}
    return AnswerThreshold(threshold, plan, above, len(asked))
