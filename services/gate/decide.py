"""Pure: what is known of a prompt to its verdict; where cases meet, the strictest counts."""

from __future__ import annotations

import math

from services.domain import Action, Reason, Verdict
from services.gate.law import Case, Law, law_of_row, laws_of
from services.readout.scores import Scores


def decide(case: Case, scores: Scores) -> Verdict:
    """The verdict of a scored prompt.

    It is decided under the guessed language, or the row of an abstention, and again under the
    hinted language, each by the score that its calibration names; the stricter action counts, and
    of two equal ones the guess's own. The verdict reports the score that decided: the frozen
    readout's where no calibration did.

    Args:
        case: everything else.
        scores: of the prompt, under the case's bundle.

    Raises:
        ServiceError: a row of the policy table says that the call fails.
    """
    return decide_by(laws_of(case), case, scores)


def decide_by(laws: tuple[Law, ...], case: Case, scores: Scores) -> Verdict:
    """`decide` for whoever has made the laws of the case already.

    Raises:
        ServiceError: the score is not finite, and the row of that case says that the call fails.
    """
    read = [(law, law.score(scores)) for law in laws]
    # the frozen score counts too where it does not decide: it reads every place
    broken = [score for score in (scores.frozen, *(s for _, s in read)) if not math.isfinite(score)]
    if broken:
        row = law_of_row(case, Reason.NON_FINITE_ACTIVATION)
        decidable = [(law, s) for law, s in read if law.is_fixed or math.isfinite(s)]
        read = [(row, broken[0]), *decidable]
    ruled = [(law, score, law.ruling(score)) for law, score in read]
    law, score, ruling = max(ruled, key=lambda each: each[2].action.strictness)
    # a score whose language is not known is none of the language's
    is_of_no_language = law.language is None and not law.is_fixed
    return law.verdict(case, ruling, scores.frozen if is_of_no_language else score)


def decide_without_time(case: Case) -> Verdict:
    """The verdict of a prompt that there is no time left to score.

    Raises:
        DeadlinePassed: the row says fail, as the strict one does.
    """
    row = law_of_row(case, Reason.DEADLINE_NEARLY_GONE)
    return row.verdict(case, row.rulings[Action.NONE], None)
