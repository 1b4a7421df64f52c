"""Hierarchical bootstrap of refusal rates: languages, few-shot draws, source prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recal.maths.interval import Interval
from recal.maths.judge_draws import Correction
from recal.maths.two_class import BoolArray, FloatArray

IntArray = NDArray[np.int64]


class LanguageAnswers(NamedTuple):
    """Which of one language's prompts were refused, by every arm in every draw."""

    harmful: BoolArray
    """(n_arms, n_draws, n): an arm without draws repeats its answers."""
    harmless: BoolArray
    """(n_arms, n_draws, m)."""
    harmful_sources: IntArray
    """(n,) from 0: prompts with one number are translations of one source, in every language."""
    harmless_sources: IntArray
    """(m,), numbered on their own."""


class Resampled(NamedTuple):
    """Refusal rates of every resample and arm: means over languages and draws.

    In [0, 1], or beyond it where they are corrected.
    """

    harmful: FloatArray
    """(n_resamples, n_arms)."""
    harmless: FloatArray
    """(n_resamples, n_arms)."""

    @property
    def delta(self) -> FloatArray:
        """Harmful minus harmless, in [-1, 1]."""
        return self.harmful - self.harmless


def hierarchical_bootstrap(
    languages: Sequence[LanguageAnswers],
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    corrections: Sequence[Correction] = (),
) -> Resampled:
    """Resample languages, in each of them the few-shot draws, and the source prompts.

    One resample is the same for every arm, so that differences of arms are paired. Source prompts
    are resampled once for all languages, because a translation of a hard prompt is hard too:
    resampled anew in each language, intervals of a mean over languages covered too seldom. Draws
    are shared by the classes: one threshold decides both. With one language only draws and
    prompts vary.

    Args:
        languages: at least one; all with the same arms and draws.
        rng: where the resamples come from; the same state gives the same ones.
        n_resamples: at least 100.
        corrections: of each language's judged rates, one for every resample; none: rates as they
            were judged. The resamples are the same with them as without.

    Raises:
        ValueError: no language, an empty class, arms or draws that differ, sources or corrections
            that do not fit, or too few resamples.

    Source: the protocol of arXiv:2606.01196's evaluation asks for languages, seeds and prompts;
    that prompts cross languages is ours.
    """
    if n_resamples < 100:
        raise ValueError(f"`n_resamples` is {n_resamples}; give at least 100")
    _check(languages)
    _check_corrections(corrections, len(languages), n_resamples)
    n_arms, n_draws, _ = languages[0].harmful.shape
    chosen = rng.integers(0, len(languages), (n_resamples, len(languages)))
    harmful_weights = _source_counts([la.harmful_sources for la in languages], rng, n_resamples)
    harmless_weights = _source_counts([la.harmless_sources for la in languages], rng, n_resamples)
    harmful = np.zeros((n_resamples, n_arms))
    harmless = np.zeros((n_resamples, n_arms))
    for index, language in enumerate(languages):
        resamples = np.nonzero(chosen == index)[0]
        draws = _counts(n_draws, rng, len(resamples)) / n_draws
        for total, answers, sources, weights in (
            (harmful, language.harmful, language.harmful_sources, harmful_weights),
            (harmless, language.harmless, language.harmless_sources, harmless_weights),
        ):
            prompts = _normalised(weights[resamples][:, sources], rng)
            rates = _weighted(answers, draws, prompts)
            if corrections:
                scale, offset = (each[resamples, None] for each in corrections[index])
                rates = rates * scale + offset
            np.add.at(total, resamples, rates)
    return Resampled(harmful / len(languages), harmless / len(languages))


def percentile_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """The middle `level` of resampled values.

    Raises:
        ValueError: `level` is not between 0 and 1, or there are no finite values.
    """
    array = np.asarray(values, dtype=np.float64)
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` is {level}; it lies between 0 and 1")
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"resampled values of shape {array.shape} must be a finite vector")
    low, high = np.quantile(array, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _source_counts(
    sources: Sequence[IntArray], rng: np.random.Generator, n_resamples: int
) -> FloatArray:
    return _counts(1 + max(int(each.max()) for each in sources), rng, n_resamples)


def _counts(n: int, rng: np.random.Generator, n_resamples: int) -> FloatArray:
    """(n_resamples, n): how often each of n is drawn with replacement; n in all."""
    drawn = rng.integers(0, n, (n_resamples, n)) + n * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n * n_resamples)
    return counts.reshape(n_resamples, n).astype(np.float64)


def _normalised(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Weights that sum to 1; a resample with none of this language's prompts is drawn again."""
    empty = np.nonzero(weights.sum(axis=1) == 0)[0]
    weights[empty] = _counts(weights.shape[1], rng, len(empty))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _weighted(answers: BoolArray, draws: FloatArray, prompts: FloatArray) -> FloatArray:
    """(n_resamples, n_arms): the mean under each resample's weights."""
    n_arms, n_draws, n = answers.shape
    by_draw = prompts @ answers.reshape(n_arms * n_draws, n).T.astype(np.float64)
    by_draw = by_draw.reshape(len(prompts), n_arms, n_draws)
    return np.asarray(np.einsum("rad,rd->ra", by_draw, draws))


def _check_corrections(
    corrections: Sequence[Correction], n_languages: int, n_resamples: int
) -> None:
    if corrections and len(corrections) != n_languages:
        raise ValueError(
            f"{len(corrections)} corrections for {n_languages} languages; give one for each"
        )
    for index, each in enumerate(corrections):
        if not each.scale.shape == each.offset.shape == (n_resamples,):
            raise ValueError(
                f"the correction of language {index} has shape {each.scale.shape} for "
                f"{n_resamples} resamples; give one for each"
            )


def _check(languages: Sequence[LanguageAnswers]) -> None:
    if not languages:
        raise ValueError("no languages were given; at least one is needed")
    for index, language in enumerate(languages):
        for name in ("harmful", "harmless"):
            answers, sources = getattr(language, name), getattr(language, f"{name}_sources")
            if answers.ndim != 3 or answers.dtype != np.bool_ or answers.size == 0:
                raise ValueError(
                    f"`{name}` of language {index} is {answers.dtype} of shape {answers.shape}; "
                    "give bool of (n_arms, n_draws, n), none of them 0"
                )
            if answers.shape[:2] != languages[0].harmful.shape[:2]:
                raise ValueError(
                    f"`{name}` of language {index} has {answers.shape[0]} arms and "
                    f"{answers.shape[1]} draws, others {languages[0].harmful.shape[:2]}; "
                    "every language needs the same"
                )
            if sources.shape != answers.shape[2:] or int(sources.min()) < 0:
                raise ValueError(
                    f"`{name}_sources` of language {index} has shape {sources.shape} for "
                    f"{answers.shape[2]} prompts; give one number from 0 for each"
                )
