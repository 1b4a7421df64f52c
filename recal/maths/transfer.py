"""How well a readout carries to languages that it has not seen: leave one language out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from recal.maths.metrics import tpr_at_fpr
from recal.maths.two_class import FloatArray, TwoClass

TARGET_FPR = 0.05
"""False positive rate at which candidates are compared: where a gate works."""

Key = TypeVar("Key", bound=Hashable)
Score = Callable[[FloatArray], FloatArray]
"""(n, d_model) residuals to (n,) scores."""
Fit = Callable[[Mapping[str, TwoClass]], Mapping[Key, Score]]
"""Residuals of source languages to one readout, or several of them that share work, by name."""


def held_out_scores(
    source: Mapping[str, TwoClass], development: Mapping[str, TwoClass], fit: Fit[Key]
) -> dict[Key, dict[str, TwoClass]]:
    """Scores of every language by a readout that has not seen it.

    A source language is scored by a fit on the other source languages, a development language by a
    fit on all of them.

    Args:
        source: by language, (n, d_model) and (m, d_model); at least two.
        development: the same, of languages that never fit; may be empty.
        fit: makes the readouts.

    Raises:
        ValueError: fewer than two source languages, or as `fit`.
    """
    if len(source) < 2:
        raise ValueError(f"{len(source)} source language(s); leaving one out needs at least two")
    found: dict[Key, dict[str, TwoClass]] = {}
    for language, rows in source.items():
        others = {name: pair for name, pair in source.items() if name != language}
        for key, score in fit(others).items():
            found.setdefault(key, {})[language] = _pair(score, rows)
    if development:
        for key, score in fit(source).items():
            found[key] |= {name: _pair(score, rows) for name, rows in development.items()}
    return found


def transfer(scores: Mapping[str, TwoClass], *, target_fpr: float = TARGET_FPR) -> float:
    """Mean over languages of the true positive rate at a false positive rate.

    Every language has its own threshold here: what is compared is the readout, not the threshold.

    Raises:
        ValueError: no language, or as `tpr_at_fpr`.
    """
    if not scores:
        raise ValueError("no languages were given; at least one is needed")
    return float(np.mean([tpr_at_fpr(*pair, target_fpr) for pair in scores.values()]))


def summed(
    parts: Sequence[Mapping[str, TwoClass]], shares: Sequence[float] | None = None
) -> dict[str, TwoClass]:
    """Scores of an ensemble: the sum of its parts' scores by their shares, by language.

    Args:
        parts: at least one, of the same languages and prompts.
        shares: one for each part; None: 1 for all.

    Raises:
        ValueError: there are no parts, another number of shares, or the parts differ in languages
            or prompts.
    """
    if not parts or any(part.keys() != parts[0].keys() for part in parts):
        raise ValueError(f"{len(parts)} parts do not score the same languages")
    weights = np.ones(len(parts)) if shares is None else np.asarray(shares, dtype=np.float64)
    if len(weights) != len(parts):
        raise ValueError(f"{len(parts)} parts were given with {len(weights)} shares")
    found = {}
    for language in parts[0]:
        harmful, harmless = ([part[language][i] for part in parts] for i in (0, 1))
        if len({len(row) for row in harmful}) > 1 or len({len(row) for row in harmless}) > 1:
            raise ValueError(f"the parts score different prompts of `{language}`")
        found[language] = TwoClass(weights @ np.stack(harmful), weights @ np.stack(harmless))
    return found


def _pair(score: Score, rows: TwoClass) -> TwoClass:
    return TwoClass(score(rows.harmful), score(rows.harmless))
