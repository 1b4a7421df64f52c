"""Evidence of synthetic languages for the tests of the estimators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recal.maths.evidence import Evidence, Parallel, Sources, Unlabelled
from recal.maths.prior import Prior
from recal.maths.source import SourceStatistics
from recal.maths.two_class import TwoClass

GAP = 4.0
SOURCE = SourceStatistics(
    mean_harmful=GAP / 2, mean_harmless=-GAP / 2, sd_within=1.0, threshold=0.0
)


def labelled(k: int, rng: np.random.Generator, *, shift: float = 0.0, gap: float = GAP) -> Evidence:
    return Evidence(shift + rng.normal(gap / 2, 1, size=k), shift + rng.normal(-gap / 2, 1, size=k))


def paired_with_sources(
    k: int, rng: np.random.Generator, *, rho: float, said: float | None, shift: float = 0.0
) -> Evidence:
    """Examples whose scores correlate with their source translations' within a class."""
    theirs = rng.normal(size=(2, k))
    own = rho * theirs + np.sqrt(1 - rho**2) * rng.normal(size=(2, k))
    sources = Sources(GAP / 2 + theirs[0], -GAP / 2 + theirs[1], rho=said)
    return Evidence(shift + GAP / 2 + own[0], shift - GAP / 2 + own[1], sources=sources)


def everything(rng: np.random.Generator, *, k: int = 4, shift: float = 0.0) -> Evidence:
    """Evidence of every kind at once."""
    pairs = rng.normal(size=(2, 2, 30)) + np.array([GAP / 2, -GAP / 2])[:, None, None]
    both = np.concatenate([pairs[0], pairs[1]], axis=1)
    traffic = np.concatenate([rng.normal(GAP / 2, 1, 50), rng.normal(-GAP / 2, 1, 50)])
    return replace(
        paired_with_sources(k, rng, rho=0.6, said=0.6, shift=shift),
        unlabelled=Unlabelled(shift + traffic),
        parallel=Parallel(shift + both[0], both[1]),
        translated=TwoClass(
            shift + rng.normal(GAP / 2, 1, 60), shift + rng.normal(-GAP / 2, 1, 60)
        ),
        prior=Prior(shift, 0.5),
    )


def moved(evidence: Evidence, by: float) -> Evidence:
    """The same language with all its own scores, and what others say of it, moved."""
    old = evidence
    return Evidence(
        old.harmful + by,
        old.harmless + by,
        sources=old.sources,
        unlabelled=old.unlabelled and replace(old.unlabelled, scores=old.unlabelled.scores + by),
        parallel=old.parallel and replace(old.parallel, target=old.parallel.target + by),
        translated=old.translated and TwoClass(*(each + by for each in old.translated)),
        prior=old.prior and replace(old.prior, mean=old.prior.mean + by),
    )


def shuffled(evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """The same evidence in another order; what belongs together stays together."""
    old = evidence
    h, n = rng.permutation(len(old.harmful)), rng.permutation(len(old.harmless))
    sources, parallel = old.sources, old.parallel
    if sources is not None:
        sources = replace(sources, harmful=sources.harmful[h], harmless=sources.harmless[n])
    if parallel is not None:
        order = rng.permutation(len(parallel.target))
        parallel = Parallel(parallel.target[order], parallel.source[order])
    return Evidence(
        old.harmful[h],
        old.harmless[n],
        sources=sources,
        unlabelled=old.unlabelled
        and replace(old.unlabelled, scores=rng.permutation(old.unlabelled.scores)),
        parallel=parallel,
        translated=old.translated and TwoClass(*(rng.permutation(e) for e in old.translated)),
        prior=old.prior,
    )
