"""Where each arm's points go, held against the oracle gate."""

from __future__ import annotations

from collections.abc import Sequence

from recal.evaluation.catalogue import BEST, ORACLE
from recal.evaluation.report import Losses
from recal.evaluation.tallied import Tallied
from recal.maths.decomposition import Decomposition, decompose_true
from recal.method import Method, Thresholded


def losses(this: Tallied) -> tuple[Losses, ...]:
    """Gate, actuation and judge loss of every arm and tier; empty without the oracle gate."""
    keys = [arm.key for arm in this.arms]
    if ORACLE not in keys:
        return ()
    found = []
    for tier, languages in this.groups.items():
        oracle = this.true(ORACLE, languages).delta
        readout_loss = None
        if BEST in keys:
            readout_loss = _split(this, BEST, languages, oracle).gate_loss
        for arm in this.arms:
            by_score = arm.key == BEST or _is_frozen(arm.method, languages)
            split = _split(this, arm.key, languages, oracle)
            found.append(Losses(arm.key, tier, split, readout_loss if by_score else None))
    return tuple(found)


def _is_frozen(method: Method, languages: Sequence[str]) -> bool:
    """Whether a threshold on the frozen score decides in all of them."""
    return isinstance(method, Thresholded) and all(map(method.is_frozen, languages))


def _split(this: Tallied, arm: str, languages: Sequence[str], oracle: float) -> Decomposition:
    delta = this.observed(arm, languages).delta
    return decompose_true(delta, true=this.true(arm, languages).delta, oracle=oracle)
