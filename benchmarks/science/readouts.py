"""Readouts on the same activations: the paper's, ours, and what a language's own prompts bring.

python -m benchmarks.science.readouts [--quick] [--json FILE] [--draws N] [--root PATH]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.arguments import count
from benchmarks.report import Benchmark, Found
from benchmarks.science.fits import FITS, OURS, PAPER, TRANSLATED, Bench, Fitted
from benchmarks.science.organisms import Part, add_options, look_for_prompts, over_organisms
from benchmarks.science.prompt_sets import LOW, PromptSets
from benchmarks.science.reading import FITTED_ON, N_ACTING, N_ACTING_QUICK, Reading, read
from recal.demo.results import Bar
from recal.fit import FitPlan, direction_at
from recal.generate import Generator
from recal.judge import OrganismJudge
from recal.maths.bootstrap import percentile_interval
from recal.maths.estimators.auto import Auto
from recal.maths.estimators.midpoint import Midpoint
from recal.maths.evidence import Evidence
from recal.maths.interval import Interval
from recal.maths.metrics import auroc, tpr_at_fpr, youden_j
from recal.maths.over_draws import Spread
from recal.maths.over_draws import spread as spread_of
from recal.maths.prior import prior_of
from recal.maths.threshold import source_threshold
from recal.maths.two_class import TwoClass
from recal.paper_sweep import paper_choice, sweep_layers
from recal.prompts import select, spread
from recal.recalibrate import own_threshold_of
from recal.search import ByClass
from recal.trials import TrialRun
from services.backbone.load import Backbone

K = 4
DRAWS, DRAWS_QUICK = 60, 5
SEED, N_RESAMPLES = 0, 1000
"""Of the intervals."""
RISE = 6.0
"""Points of J that `translate_train` is to bring."""

Thresholds = Callable[[Fitted, Mapping[str, TwoClass]], dict[str, float]]
"""From each language's few examples' scores to its threshold."""


@dataclass(frozen=True)
class LanguageRow:
    """One readout in one language. J in points."""

    auc: float
    tpr_at_5_fpr: float
    j_best: float
    """At the best threshold, known only from the labels of these prompts."""
    j_midpoint: Spread
    """With the midpoint of k examples, over draws."""
    j_auto: Spread
    """With recal's default estimator."""


@dataclass(frozen=True)
class Row:
    """One readout; means over low-resource languages."""

    name: str
    reads: str
    auc: float
    tpr_at_5_fpr: float
    j_best: float
    j_midpoint: float
    j_midpoint_p5: float
    j_auto: float
    j_auto_p5: float
    languages: Mapping[str, LanguageRow]


def midpoint(fitted: Fitted, examples: Mapping[str, TwoClass]) -> dict[str, float]:
    """The same rule for every readout: what few examples say by themselves."""
    return {
        la: Midpoint()(Evidence(*scores), source=fitted.source(la)).threshold
        for la, scores in examples.items()
    }


def auto(fitted: Fitted, examples: Mapping[str, TwoClass]) -> dict[str, float]:
    """As `recal recalibrate`: the others are a prior where all are scored by one readout."""
    found = {}
    for language, scores in examples.items():
        prior = None
        if fitted.shared:
            others = {
                la: own_threshold_of(Evidence(*each), fitted.source(la))
                for la, each in examples.items()
                if la != language
            }
            prior = prior_of({la: own for la, own in others.items() if own is not None})
        evidence = Evidence(*scores, prior=prior)
        found[language] = Auto()(evidence, source=fitted.source(language)).threshold
    return found


class Measured(NamedTuple):
    """A readout's row, and the scores that it was counted from."""

    row: Row
    scored: Mapping[str, TwoClass]
    """By language."""


def measured(name: str, fitted: Fitted, reading: Reading, *, draws: int) -> Measured:
    """Score calibration and scored prompts, and count."""
    of_split = {
        split: {la: fitted.scores(reading.activations[split], la) for la in LOW}
        for split in ("calibration", "test")
    }
    scored = of_split["test"]
    few = {
        rule: _over_draws(rule, fitted, of_split["calibration"], scored, reading, draws)
        for rule in (midpoint, auto)
    }
    languages = {
        la: LanguageRow(
            auc=auroc(*scored[la]),
            tpr_at_5_fpr=tpr_at_fpr(*scored[la], 0.05),
            j_best=100 * youden_j(*scored[la], source_threshold(*scored[la], standard_errors=0.0)),
            j_midpoint=few[midpoint][la],
            j_auto=few[auto][la],
        )
        for la in LOW
    }

    def mean(of: Callable[[LanguageRow], float]) -> float:
        return float(np.mean([of(each) for each in languages.values()]))

    row = Row(
        name=name,
        reads=fitted.reads,
        auc=mean(lambda each: each.auc),
        tpr_at_5_fpr=mean(lambda each: each.tpr_at_5_fpr),
        j_best=mean(lambda each: each.j_best),
        j_midpoint=mean(lambda each: each.j_midpoint.mean),
        j_midpoint_p5=mean(lambda each: each.j_midpoint.p5),
        j_auto=mean(lambda each: each.j_auto.mean),
        j_auto_p5=mean(lambda each: each.j_auto.p5),
        languages=languages,
    )
    return Measured(row, scored)


def _over_draws(
    rule: Thresholds,
    fitted: Fitted,
    calibration: Mapping[str, TwoClass],
    scored: Mapping[str, TwoClass],
    reading: Reading,
    draws: int,
) -> dict[str, Spread]:
    """J x 100 by language, over draws of k examples a class."""
    js: dict[str, list[float]] = {la: [] for la in LOW}
    for number in range(draws):
        examples = {}
        for la in LOW:
            rows = reading.drawn(la, K, number)
            both = zip(calibration[la], rows, strict=True)
            examples[la] = TwoClass(*(scores[mine] for scores, mine in both))
        for la, threshold in rule(fitted, examples).items():
            js[la].append(100 * youden_j(*scored[la], threshold))
    return {la: spread_of(each) for la, each in js.items()}


def papers_layer(backbone: Backbone, reading: Reading, *, n: int) -> int:
    """The block whose ablation takes most refusals away, on n validation prompts a class."""
    activations = reading.activations[FITTED_ON]
    plan = FitPlan(source_languages=reading.sources, development_languages=())
    places = {layer: direction_at(activations, layer, plan) for layer in activations.layers}
    prompts = ByClass.of(spread(select(activations.prompts, languages=reading.sources), n))
    run = TrialRun(Generator(backbone), OrganismJudge())
    return paper_choice(sweep_layers(*prompts, places, run=run), places).steering.layer


def difference(
    ours: Mapping[str, TwoClass],
    other: Mapping[str, TwoClass],
    metric: Callable[[TwoClass], float],
    rng: np.random.Generator,
) -> Interval:
    """95 % interval of the difference in a metric's mean over languages; prompts are resampled."""
    found = []
    for _ in range(N_RESAMPLES):
        differences = []
        for la, (harmful, harmless) in ours.items():
            rows = [rng.integers(0, len(each), len(each)) for each in (harmful, harmless)]
            mine, others = (
                TwoClass(*(scores[drawn] for scores, drawn in zip(each[la], rows, strict=True)))
                for each in (ours, other)
            )
            differences.append(metric(mine) - metric(others))
        found.append(np.mean(differences))
    return percentile_interval(found)


def bars_of(name: str, found: Mapping[str, Measured]) -> tuple[Bar, ...]:
    """What was promised of readouts, on one organism."""
    paper, ours, own = (found[each].row for each in (PAPER, OURS, TRANSLATED))
    scored = found[OURS].scored, found[PAPER].scored
    return (
        _above(name, "AUC", ours.auc, paper.auc, _interval(scored, lambda s: auroc(*s))),
        _above(
            name,
            "TPR at 5 % FPR",
            ours.tpr_at_5_fpr,
            paper.tpr_at_5_fpr,
            _interval(scored, lambda s: tpr_at_fpr(*s, 0.05)),
        ),
        _rise(name, "at the best threshold", own.j_best, ours.j_best),
        _rise(name, f"at k = {K}, midpoint", own.j_midpoint, ours.j_midpoint),
        _rise(name, f"at k = {K}, auto", own.j_auto, ours.j_auto),
    )


def _interval(
    scored: tuple[Mapping[str, TwoClass], Mapping[str, TwoClass]],
    metric: Callable[[TwoClass], float],
) -> Interval:
    return difference(*scored, metric, np.random.default_rng(SEED))


def _above(name: str, metric: str, ours: float, paper: float, interval: Interval) -> Bar:
    return Bar(
        f"{name}: mean low-resource {metric} above the paper's readout",
        f"{ours:.3f} against {paper:.3f}, {ours - paper:+.3f} ({interval.low:+.3f} to "
        f"{interval.high:+.3f})",
        ours > paper,
    )


def _rise(name: str, where: str, own: float, ours: float) -> Bar:
    return Bar(
        f"{name}: translate_train at least {RISE:g} points of J above recal's readout, {where}",
        f"{own:.1f} against {ours:.1f}, {own - ours:+.1f}",
        own - ours >= RISE,
    )


def to_markdown(name: str, rows: Sequence[Row], draws: int) -> str:
    """A table for the results page."""
    lines = [
        f"{name}: means over {' '.join(LOW)}; J × 100 at k = {K} over {draws} draws (5th "
        "percentile of the draws)",
        "",
        "| readout | reads | AUC | TPR at 5 % FPR | best J | k = 4, midpoint | k = 4, auto |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.reads} | {r.auc:.3f} | {r.tpr_at_5_fpr:.3f} | {r.j_best:.1f} "
        f"| {r.j_midpoint:.1f} ({r.j_midpoint_p5:.0f}) | {r.j_auto:.1f} ({r.j_auto_p5:.0f}) |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def measure(options: argparse.Namespace) -> Found:
    """Every readout on every organism."""
    draws = options.draws or (DRAWS_QUICK if options.quick else DRAWS)

    def measure_one(name: str, backbone: Backbone, sets: PromptSets) -> Part:
        reading = read(name, backbone, sets, root=options.root)
        n_acting = N_ACTING_QUICK if options.quick else N_ACTING
        bench = Bench(reading, papers_layer(backbone, reading, n=n_acting))
        found = {}
        for way, fit in FITS.items():
            found[way] = measured(way, fit(bench), reading, draws=draws)
            print(f"{name}: {way}: best J {found[way].row.j_best:.1f}", flush=True)
        rows = [each.row for each in found.values()]
        chosen = [
            {"place": list(m.place), "rank": m.rank, "share": m.share} for m in bench.choice.members
        ]
        plain = {"chosen": chosen, "rows": [asdict(each) for each in rows]}
        return Part(plain, to_markdown(name, rows, draws), bars_of(name, found))

    return over_organisms(options, measure_one, results={"k": K, "draws": draws}, seed=SEED)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--draws", type=count, help=f"{DRAWS} by default, {DRAWS_QUICK} if quick")


BENCHMARK = Benchmark(
    __package__, "readouts", __doc__, measure, _add_options, check=look_for_prompts
)


if __name__ == "__main__":
    BENCHMARK.main()
