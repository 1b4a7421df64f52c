"""Where each arm's points go, held against the oracle gate."""

from __future__ import annotations

from recal.evaluation.catalogue import BEST, ORACLE
from recal.evaluation.report import Losses
from recal.evaluation.tallied import Tallied
from recal.maths.decomposition import PERFECT, decompose
from recal.method import Thresholded


def losses(this: Tallied) -> tuple[Losses, ...]:
    """Gate, actuation and judge loss of every arm and tier; empty without the oracle gate."""
    keys = [arm.key for arm in this.arms]
    if ORACLE not in keys:
        return ()
    error = this.error if this.error is not None else PERFECT
    found = []
    for tier, languages in this.groups.items():
        oracle = this.delta(ORACLE, languages)
        readout_loss = None
        if BEST in keys:
            readout_loss = decompose(this.delta(BEST, languages), oracle, error).gate_loss
        for arm in this.arms:
            by_score = arm.key == BEST or isinstance(arm.method, Thresholded)
            split = decompose(this.delta(arm.key, languages), oracle, error)
            found.append(Losses(arm.key, tier, split, readout_loss if by_score else None))
    return tuple(found)
