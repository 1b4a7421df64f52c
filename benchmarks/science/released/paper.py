"""Our maths beside the code released with arXiv 2606.01196."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.science.released.comparison import Comparison
from benchmarks.science.released.values import N_HARMFUL_SOURCE, Array, Golden
from recal.maths.direction import difference_in_means, pooled_direction, projection_gap
from recal.maths.estimators.paper import paper_f1
from recal.maths.evidence import Evidence
from recal.maths.logistic import Logistic, fit_logistic, logits
from recal.maths.metrics import auroc, balanced_accuracy
from recal.maths.paper import balanced_f1
from recal.maths.source import SourceStatistics
from recal.maths.subspace import basis
from recal.maths.threshold import source_threshold
from recal.maths.two_class import TwoClass
from services.domain import Action
from services.generation.intervention import Phase, Span
from services.generation.moving import packed_edits
from services.generation.treatment import Treatment
from services.readout.bundle import Steering

RANK = 10
ANY_SOURCE = SourceStatistics(mean_harmful=2, mean_harmless=-2, sd_within=1, threshold=0)
"""The rule does not look at it."""
_N_HARMFUL_TARGET = 80


def largest(ours: object, theirs: object) -> float:
    """Largest absolute difference of two tables."""
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())


def projector_error(golden: Golden, *, rank: int = RANK) -> float:
    """Of B·Bᵀ, which does not depend on signs and order."""
    ours = basis(golden.directions, rank=rank)
    columns = golden.projector_columns.shape[1]
    return largest((ours @ ours.T)[:, :columns], golden.projector_columns)


def hook_error(golden: Golden, phase: Phase, *, as_if: Phase | None = None) -> float:
    """Of edited residuals; `as_if`: edited as in another phase."""
    prefill = phase is Phase.PREFILL
    residual = golden.hook_prefill if prefill else golden.hook_decode
    theirs = golden.hook_prefill_out if prefill else golden.hook_decode_out
    direction = torch.from_numpy(golden.pooled_direction)
    steering = Steering(direction, 0, float(golden.coefficient[0]), typical_norm=1.0)
    treatments = [
        Treatment(Action.STEER if harmful else Action.RELEASE, steering)
        for harmful in golden.hook_harmful
    ]
    rows, n_tokens, width = residual.shape
    spans = [Span(n_tokens, as_if or phase)] * rows
    edit = packed_edits(treatments, spans, direction.device)[0]
    edited = edit(torch.from_numpy(residual).reshape(1, -1, width))
    return largest(edited.reshape(residual.shape).numpy(), theirs)


def _directions(golden: Golden) -> float:
    ours = [difference_in_means(*rows) for rows in golden.source().values()]
    return largest(ours, golden.directions)


def _pooled(golden: Golden) -> float:
    return largest(pooled_direction(golden.source()), golden.pooled_direction)


def _coefficient(golden: Golden) -> float:
    harmful, harmless = golden.pooled_harmful[:, None], golden.pooled_harmless[:, None]
    return largest(projection_gap(harmful, harmless, [1.0]), golden.coefficient[0])


def _source_threshold(golden: Golden) -> float:
    scores = _split(golden.source_logits)
    ours = paper_f1(Evidence(*scores), source=ANY_SOURCE).threshold
    return largest(ours, golden.source_threshold[0])


def few_shot_thresholds(golden: Golden) -> list[float]:
    """By our rule, on the released logits of the examples."""
    cases = zip(golden.few_k, golden.few_harmful, golden.few_harmless, strict=True)
    return [paper_f1(Evidence(h[:k], n[:k]), source=ANY_SOURCE).threshold for k, h, n in cases]


def _other_decisions(golden: Golden) -> float:
    """Examples on which our threshold decides otherwise."""
    found = 0
    cases = zip(golden.few_k, golden.few_harmful, golden.few_harmless, strict=True)
    both = zip(cases, few_shot_thresholds(golden), golden.few_threshold, strict=True)
    for (k, harmful, harmless), ours, theirs in both:
        scores = np.concatenate([harmful[:k], harmless[:k]])
        found += int(((scores >= ours) != (scores >= theirs)).sum())
    return float(found)


def _few_shot_f1(golden: Golden) -> float:
    cases = zip(golden.few_k, golden.few_harmful, golden.few_harmless, strict=True)
    ours = [
        balanced_f1(harmful[:k], harmless[:k], threshold)
        for (k, harmful, harmless), threshold in zip(
            cases, few_shot_thresholds(golden), strict=True
        )
    ]
    return largest(ours, golden.few_f1)


def _auc_on_source(golden: Golden) -> float:
    ours, theirs = _on_source(golden)
    return abs(auroc(*ours) - auroc(*theirs))


def _accuracy_lost_on_source(golden: Golden) -> float:
    ours, theirs = _on_source(golden)
    at_theirs = balanced_accuracy(*theirs, golden.source_threshold[0])
    return at_theirs - balanced_accuracy(*ours, source_threshold(*ours))


def _auc_on_targets(golden: Golden) -> float:
    return max(abs(auroc(*ours) - auroc(*theirs)) for ours, theirs in _on_targets(golden))


def _accuracy_lost_on_targets(golden: Golden) -> float:
    threshold = source_threshold(*_on_source(golden)[0])
    return max(
        balanced_accuracy(*theirs, golden.source_threshold[0]) - balanced_accuracy(*ours, threshold)
        for ours, theirs in _on_targets(golden)
    )


def _fitted(golden: Golden) -> Logistic:
    table = enumerate(golden.source_projections)
    return fit_logistic({f"src{i}": _classes(rows, N_HARMFUL_SOURCE) for i, rows in table})


def _on_source(golden: Golden) -> tuple[TwoClass, TwoClass]:
    """Log odds of the source languages: ours and theirs."""
    flat = golden.source_projections.reshape(-1, golden.source_projections.shape[-1])
    ours = logits(_fitted(golden), flat).reshape(golden.source_logits.shape)
    return _split(ours), _split(golden.source_logits)


def _on_targets(golden: Golden) -> list[tuple[TwoClass, TwoClass]]:
    logistic, n = _fitted(golden), _N_HARMFUL_TARGET
    return [
        (_classes(logits(logistic, rows), n), _classes(theirs, n))
        for rows, theirs in zip(golden.target_projections, golden.target_logits, strict=True)
    ]


def _split(table: Array) -> TwoClass:
    """(languages, rows) log odds by class, over all languages."""
    n = N_HARMFUL_SOURCE
    return TwoClass(table[:, :n].ravel().astype(float), table[:, n:].ravel().astype(float))


def _classes(table: Array, n_harmful: int) -> TwoClass:
    return TwoClass(table[:n_harmful].astype(float), table[n_harmful:].astype(float))


PAPER: tuple[Comparison[Golden], ...] = (
    Comparison("directions", "unit mean differences, largest error", _directions, 1e-5),
    Comparison("pooled_direction", "pooled steering direction, largest error", _pooled, 1e-5),
    Comparison("basis_projector", "B·Bᵀ at rank 10, largest error", projector_error, 1e-4),
    Comparison("alpha_q75_q25", "coefficient g, error", _coefficient, 1e-4),
    Comparison("source/logits", "converged probe on source, AUC apart", _auc_on_source, 0.01),
    Comparison(
        "source/logits",
        "balanced accuracy lost on source at the threshold",
        _accuracy_lost_on_source,
        0.01,
    ),
    Comparison("zero_shot_logits", "new languages, AUC apart at most", _auc_on_targets, 0.01),
    Comparison(
        "zero_shot_logits",
        "balanced accuracy lost in a new language at the source threshold",
        _accuracy_lost_on_targets,
        0.01,
    ),
    Comparison("source_threshold", "the rule on released logits, error", _source_threshold, 0.0),
    Comparison(
        "targets/…/threshold",
        "the rule on released logits of the examples, largest error",
        # below all scores the released code subtracts 1e-6 in float32
        lambda golden: largest(few_shot_thresholds(golden), golden.few_threshold),
        5e-7,
    ),
    Comparison(
        "targets/…/threshold",
        "share of thresholds that are equal to the last bit",
        lambda golden: float(np.mean(few_shot_thresholds(golden) == golden.few_threshold)),
        0.9,
        at_least=True,
    ),
    Comparison("targets/…/threshold", "examples decided otherwise", _other_decisions, 0.0),
    Comparison("targets/…/fit_f1", "F1 on the examples, largest error", _few_shot_f1, 1e-6),
    Comparison(
        "hook/out_prefill",
        "edited residuals at prefill, largest error",
        lambda golden: hook_error(golden, Phase.PREFILL),
        1e-4,
    ),
    Comparison(
        "hook/out_decode",
        "edited residuals at decode, largest error",
        lambda golden: hook_error(golden, Phase.DECODE),
        1e-4,
    ),
)
"""On the values of `Golden`."""
