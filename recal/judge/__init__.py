"""Whether a text refuses, complies, or is no answer at all: judges, and how far to trust them."""

from recal.judge.degenerate import is_degenerate
from recal.judge.exchange import Exchange, Judge, Judgement, exchanges_of
from recal.judge.organism import OrganismJudge
from recal.judge.phrases import PhraseJudge

__all__ = [
    "Exchange",
    "Judge",
    "Judgement",
    "OrganismJudge",
    "PhraseJudge",
    "exchanges_of",
    "is_degenerate",
]
