"""Our CAST and AdaSteer maths beside released code (arXiv 2409.05907, 2504.09466)."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.science.released.baseline_values import VARIANTS, BaselineGolden
from benchmarks.science.released.comparison import Comparison
from benchmarks.science.released.paper import largest
from recal.maths.adasteer import RELEASED, scaled_positions
from recal.maths.cast import ConditionPoint, Variant, best_condition_point, contrastive_direction
from recal.maths.cast import similarities as similarities_with
from recal.maths.two_class import TwoClass

_N = 36
"""Rows a class that CAST's directions are of."""
_LAYER = 5
"""Any: there is one."""


def cosine(golden: BaselineGolden, variant: Variant, *, of: Variant | None = None) -> float:
    """Of our direction of a variant with the released one of `of`, signs included."""
    ours = contrastive_direction(golden.harmful[:_N], golden.harmless[:_N], variant)
    theirs = golden.cast_directions[VARIANTS.index(of or variant)]
    return float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))


def similarities(golden: BaselineGolden) -> TwoClass:
    """With our pairwise direction, by class."""
    direction = contrastive_direction(golden.harmful[:_N], golden.harmless[:_N])
    return TwoClass(*(similarities_with(r, direction) for r in (golden.harmful, golden.harmless)))


def _similarity_error(golden: BaselineGolden) -> float:
    ours = similarities(golden)
    theirs = TwoClass(golden.cast_harmful, golden.cast_harmless)
    return max(largest(mine, other) for mine, other in zip(ours, theirs, strict=True))


def condition_point(golden: BaselineGolden) -> ConditionPoint:
    """Ours, over the released grid."""
    return best_condition_point({_LAYER: similarities(golden)}, np.arange(0, 1.005, 0.01))


def _side(golden: BaselineGolden) -> float:
    """1 where the condition is met on the same side."""
    return float((condition_point(golden).comparator == "smaller") == golden.cast_is_smaller[0])


def positions_error(golden: BaselineGolden, *, swapped: bool = False) -> float:
    """Of scaled positions; `swapped`: with the anchors the wrong way round."""
    anchors = (golden.harmful, golden.harmless)
    ours = scaled_positions(golden.harmful, *(anchors[::-1] if swapped else anchors))
    return largest(ours, golden.adasteer_scaled)


def _alpha_error(golden: BaselineGolden) -> float:
    return largest(RELEASED["qwen"].alpha.of(golden.adasteer_scaled), golden.adasteer_alpha)


def beta_error(golden: BaselineGolden, *, model: str = "qwen") -> float:
    """Of the law of a model; the released values are Qwen's."""
    return largest(RELEASED[model].beta.of(golden.adasteer_scaled), golden.adasteer_beta)


BASELINES: tuple[Comparison[BaselineGolden], ...] = (
    *(
        Comparison(
            f"cast/direction/{variant}",
            "condition direction, cosine with its sign",
            partial(cosine, variant=variant),
            0.999,
            at_least=True,
        )
        for variant in VARIANTS
    ),
    Comparison("cast/sim_…", "similarities, largest error", _similarity_error, 1e-3),
    Comparison(
        "cast_point",
        "threshold of the grid, error",
        lambda golden: largest(condition_point(golden).threshold, golden.cast_threshold[0]),
        1e-3,
    ),
    Comparison(
        "cast_point",
        "F1 of the grid's best point, error",
        lambda golden: largest(condition_point(golden).f1, golden.cast_f1[0]),
        1e-3,
    ),
    Comparison("cast_point", "1: on the same side of it", _side, 1.0, at_least=True),
    Comparison("adasteer/scaled", "scaled positions, largest error", positions_error, 1e-3),
    Comparison("adasteer/alpha_qwen", "clamped law α, largest error", _alpha_error, 1e-6),
    Comparison("adasteer/beta_qwen", "clamped law β, largest error", beta_error, 1e-6),
)
"""On the values of `BaselineGolden`."""
