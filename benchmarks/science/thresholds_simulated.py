"""Threshold rules on normal classes: Youden's J over draws of few examples, by rule and k.

python -m benchmarks.science.thresholds_simulated [--quick] [--json FILE]

Two settings. In each a language's scores are the source's, moved by a shift that is drawn anew for
every language; J is that of the rule's threshold on the language's true classes, not on a sample.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from benchmarks.report import Benchmark, Found
from recal.maths.estimators.auto import Auto
from recal.maths.estimators.catalogue import ESTIMATORS
from recal.maths.evidence import Evidence, Parallel, Sources, Unlabelled
from recal.maths.prior import OwnThreshold, Prior, prior_of
from recal.maths.source import SourceStatistics
from recal.maths.threshold import Estimator, ThresholdEstimate

BUDGETS = (1, 2, 4, 32)
SEED = 0
N_DRAWS, N_QUICK = 4000, 300
RHO = 0.6
N_UNLABELLED, HARMFUL_SHARE = 200, 0.3
N_PARALLEL = 100
N_OTHERS, K_OTHERS = 12, 4


@dataclass(frozen=True)
class Setting:
    """How well the readout separates, and how far languages lie from the source."""

    auc: float
    mean_shift: float
    sd_shift: float

    @property
    def gap(self) -> float:
        """Distance of the class means, in standard deviations within a class."""
        return math.sqrt(2) * float(norm.ppf(self.auc))

    @property
    def source(self) -> SourceStatistics:
        """The source's scores: the same classes, around a threshold of 0."""
        return SourceStatistics(self.gap / 2, -self.gap / 2, 1.0, 0.0)

    def j(self, threshold: float, shift: float) -> float:
        """Youden's J × 100 of a threshold in a language of this shift."""
        at = threshold - shift
        return 100 * float(norm.sf(at - self.gap / 2) - norm.sf(at + self.gap / 2))


SETTINGS = (Setting(0.97, -0.5, 0.5), Setting(0.86, -2.0, 0.7))


class Language(NamedTuple):
    """One drawn language, its examples for the largest budget and what is known beside them."""

    shift: float
    harmful: np.ndarray
    """(k, 2): the example's score and its source translation's."""
    harmless: np.ndarray
    unlabelled: Unlabelled
    parallel: Parallel
    others: Prior
    """Estimated from other languages' midpoints."""


def pairs(setting: Setting, mean: float, n: int, shift: float, rng: np.random.Generator) -> Any:
    """(n, 2) scores of prompts of one class and of their source translations."""
    source = rng.normal(size=n)
    own = RHO * source + math.sqrt(1 - RHO**2) * rng.normal(size=n)
    return np.stack([shift + mean + own, mean + source], axis=1)


def draw(setting: Setting, rng: np.random.Generator) -> Language:
    """A language, with everything that a rule may know of it."""
    shift, *others = rng.normal(setting.mean_shift, setting.sd_shift, size=1 + N_OTHERS)
    half = setting.gap / 2
    harmful, harmless = (pairs(setting, mean, max(BUDGETS), shift, rng) for mean in (half, -half))
    n_harmful = int(rng.binomial(N_UNLABELLED, HARMFUL_SHARE))
    traffic = shift + np.concatenate(
        [rng.normal(half, 1, n_harmful), rng.normal(-half, 1, N_UNLABELLED - n_harmful)]
    )
    both = np.concatenate(
        [pairs(setting, mean, N_PARALLEL // 2, shift, rng) for mean in (half, -half)]
    )
    own_sd = 1 / math.sqrt(2 * K_OTHERS)
    midpoints = np.array(others) + rng.normal(0, own_sd, N_OTHERS)
    known = {str(i): OwnThreshold(float(x), own_sd) for i, x in enumerate(midpoints)}
    return Language(
        shift,
        harmful,
        harmless,
        Unlabelled(traffic),
        Parallel(both[:, 0], both[:, 1]),
        prior_of(known),
    )


Rule = Callable[[Setting, Language, int], float]


def _ruled(how: str | Estimator, evidence: Callable[[Setting, Language, int], Evidence]) -> Rule:
    estimator = ESTIMATORS[how] if isinstance(how, str) else how

    def rule(setting: Setting, language: Language, k: int) -> float:
        found: ThresholdEstimate = estimator(evidence(setting, language, k), source=setting.source)
        return found.threshold

    return rule


def _evidence(language: Language, k: int, **more: Any) -> Evidence:
    """`k` examples of each class, and what else is known."""
    return Evidence(language.harmful[:k, 0], language.harmless[:k, 0], **more)


def _sources(setting: Setting, language: Language, k: int, rho: float | None) -> Sources:
    return Sources(language.harmful[:k, 1], language.harmless[:k, 1], rho=rho)


def _true_prior(setting: Setting) -> Prior:
    return Prior(setting.mean_shift, setting.sd_shift)


RULES: Mapping[str, Rule] = {
    "source threshold": lambda setting, language, k: setting.source.threshold,
    "paper_f1": _ruled("paper_f1", lambda s, la, k: _evidence(la, k)),
    "midpoint": _ruled("midpoint", lambda s, la, k: _evidence(la, k)),
    "bias_only": _ruled("bias_only", lambda s, la, k: _evidence(la, k)),
    "shrunk to the source": _ruled(
        "empirical_bayes",
        lambda s, la, k: _evidence(la, k, prior=Prior(0.0, s.sd_shift)),
    ),
    "empirical_bayes, prior known": _ruled(
        "empirical_bayes", lambda s, la, k: _evidence(la, k, prior=_true_prior(s))
    ),
    "empirical_bayes, prior of 12": _ruled(
        "empirical_bayes", lambda s, la, k: _evidence(la, k, prior=la.others)
    ),
    "auto: prior known, sources": _ruled(
        "auto",
        lambda s, la, k: _evidence(la, k, sources=_sources(s, la, k, RHO), prior=_true_prior(s)),
    ),
    "auto: labels alone": _ruled("auto", lambda s, la, k: _evidence(la, k)),
    "auto: prior of 12": _ruled("auto", lambda s, la, k: _evidence(la, k, prior=la.others)),
    "  no limit to disagreement": _ruled(
        Auto(limit=1e9), lambda s, la, k: _evidence(la, k, prior=la.others)
    ),
    "auto: prior of 12, sources": _ruled(
        "auto",
        lambda s, la, k: _evidence(la, k, sources=_sources(s, la, k, None), prior=la.others),
    ),
    "auto: all but parallel": _ruled(
        "auto",
        lambda s, la, k: _evidence(
            la,
            k,
            sources=_sources(s, la, k, None),
            prior=la.others,
            unlabelled=la.unlabelled,
        ),
    ),
    "unlabelled": _ruled("unlabelled", lambda s, la, k: Evidence(unlabelled=la.unlabelled)),
    "parallel": _ruled("parallel", lambda s, la, k: Evidence(parallel=la.parallel)),
}


def simulate(setting: Setting, n_draws: int, rng: np.random.Generator) -> dict[str, Any]:
    """Mean J and 5th percentile by rule and budget; every rule sees the same draws."""
    languages = [draw(setting, rng) for _ in range(n_draws)]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, rule in RULES.items():
        found[name] = {}
        for k in BUDGETS:
            js = [setting.j(rule(setting, la, k), la.shift) for la in languages]
            found[name][str(k)] = {
                "mean": round(float(np.mean(js)), 2),
                "p5": round(float(np.quantile(js, 0.05)), 2),
            }
    return {**asdict(setting), "oracle": round(setting.j(0.0, 0.0), 2), "rules": found}


def to_text(settings: Sequence[Mapping[str, Any]], n_draws: int) -> str:
    """A plain table for each setting."""
    lines = []
    for setting in settings:
        lines.append(
            f"AUC {setting['auc']}, shift {setting['mean_shift']} ± {setting['sd_shift']}; best "
            f"threshold {setting['oracle']:.1f}; {n_draws} draws; mean J × 100 (5th percentile)"
        )
        lines.append(f"{'':<32}" + "".join(f"{'k = ' + k:>14}" for k in map(str, BUDGETS)))
        for name, cells in setting["rules"].items():
            row = "".join(f"{c['mean']:>8.1f} ({c['p5']:.0f})".rjust(14) for c in cells.values())
            lines.append(f"{name:<32}{row}")
        lines.append("")
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> Found:
    """Every setting."""
    n_draws = N_QUICK if options.quick else N_DRAWS
    rng = np.random.default_rng(SEED)
    settings = [simulate(setting, n_draws, rng) for setting in SETTINGS]
    return Found(
        results={
            "n_draws": n_draws,
            "rho": RHO,
            "unlabelled": {"n": N_UNLABELLED, "harmful_share": HARMFUL_SHARE, "assumed": 0.5},
            "settings": settings,
        },
        tables=to_text(settings, n_draws),
        seed=SEED,
    )


BENCHMARK = Benchmark(
    __package__, "thresholds_simulated", __doc__, measure, add_options=lambda parser: None
)


if __name__ == "__main__":
    BENCHMARK.main()
