"""Pure: what is known of a prompt to its verdict; where cases meet, the strictest counts."""

from __future__ import annotations

import math

from services.domain import Reason, Verdict
from services.gate.law import Case, Law, broken_law, laws_of, row_verdict
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
    by_law = [(law, law.score(scores)) for law in laws]
    # the frozen score counts too where it does not decide: it reads every place
    broken = [score for score in (scores.frozen, *(s for _, s in by_law)) if not _finite(score)]
    verdicts = [broken_law(case).verdict(case, scores.frozen, broken[0])] if broken else []
    verdicts += [
        law.verdict(case, scores.frozen, score)
        for law, score in by_law
        if law.is_fixed or _finite(score)
    ]
    return max(verdicts, key=lambda verdict: verdict.action.strictness)


def decide_without_time(case: Case) -> Verdict:
    """The verdict of a prompt that there is no time left to score.

    Raises:
        DeadlinePassed: the row says fail, as the strict one does.
    """
    return row_verdict(case, Reason.DEADLINE_NEARLY_GONE)


def _finite(score: float) -> bool:
    return math.isfinite(score)
