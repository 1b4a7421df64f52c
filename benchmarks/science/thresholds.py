"""Threshold rules on the same activations: how good they are, and how much the draw matters.

python -m benchmarks.science.thresholds [--quick] [--json FILE] [--draws N] [--rules NAMES]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.arguments import count
from benchmarks.report import Benchmark, Found
from benchmarks.science.organisms import Part, add_options, look_for_prompts, over_organisms
from benchmarks.science.prompt_sets import LOW, PromptSets
from benchmarks.science.reading import Reading, read
from benchmarks.science.rules import RULES, WITHOUT_EXAMPLES, Case, j_of, names_of
from recal.demo.results import Bar
from services.backbone.load import Backbone

KS, KS_QUICK = (1, 2, 4, 32), (1, 4)
DRAWS = 60

PAPER, AUTO, FEW = "paper_f1", ("auto", "auto + all"), (1, 2, 4)
LABEL_FREE = ("unlabelled", "parallel", "translate_train")
MEAN, FIFTH, WITHIN, STEADY = 2.0, 8.0, 2.0, 0.8
"""Bars: points of J × 100, and of the mean the share that the 5th percentile keeps."""


@dataclass(frozen=True)
class Outcome:
    """One rule at one k. Points of Youden's J × 100; of languages, and their mean."""

    rule: str
    k: int | None
    """None: it takes no examples."""
    mean: float
    """Over languages, of the mean over draws."""
    fifth: float
    """Over languages, of the 5th percentile over draws."""
    worst: float
    """Over languages, of the worst draw."""
    languages: Mapping[str, tuple[float, float, float]]
    """Mean, 5th percentile and worst draw, by language."""


def outcome(rule: str, k: int | None, found: Mapping[str, Sequence[float]]) -> Outcome:
    """An outcome from each language's J over draws."""
    languages = {
        la: (float(np.mean(js)), float(np.percentile(js, 5)), float(np.min(js)))
        for la, js in found.items()
    }
    mean, fifth, worst = (float(x) for x in np.mean(list(languages.values()), axis=0))
    return Outcome(rule, k, mean, fifth, worst, languages)


def compare(
    reading: Reading,
    *,
    rules: Sequence[str],
    ks: Sequence[int] = KS,
    draws: int = DRAWS,
    languages: Sequence[str] = LOW,
) -> list[Outcome]:
    """Every rule at every k, over the same draws."""
    scored = {la: reading.residuals("test", la) for la in languages}
    found = []
    for name, rule in WITHOUT_EXAMPLES.items():
        js = {la: [j_of(rule(Case(reading, la, 1, 0)), scored[la])] for la in languages}
        found.append(outcome(name, None, js))
    for name in rules:
        for k in ks:
            js = {
                la: [j_of(RULES[name](Case(reading, la, k, n)), scored[la]) for n in range(draws)]
                for la in languages
            }
            found.append(outcome(name, k, js))
            print(f"{reading.name}: {name}, k = {k}: {found[-1].mean:.1f}", flush=True)
    return found


def to_markdown(name: str, outcomes: Sequence[Outcome], draws: int) -> str:
    """A table: rules down, k across, mean J × 100 with the 5th percentile of the draws."""
    ks = sorted({o.k for o in outcomes if o.k is not None})
    lines = [
        f"{name}: J × 100, mean over {' '.join(LOW)} and {draws} draws "
        "(5th percentile of the draws)",
        "",
        "| rule | " + " | ".join(f"k = {k}" for k in ks) + " |",
        "|---" * (len(ks) + 1) + "|",
    ]
    for rule in dict.fromkeys(o.rule for o in outcomes):
        of_rule = {o.k: o for o in outcomes if o.rule == rule}
        if None in of_rule:
            cells = [f"{of_rule[None].mean:.1f}"] * len(ks)
        else:
            cells = [f"{of_rule[k].mean:.1f} ({of_rule[k].fifth:.0f})" for k in ks]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def bars_of(name: str, outcomes: Sequence[Outcome]) -> list[Bar]:
    """What was promised of `auto` and of rules without labels; only of what was compared."""
    found = {(o.rule, o.k): o for o in outcomes}
    bars = []
    for rule in AUTO:
        for k in FEW:
            ours, theirs = found.get((rule, k)), found.get((PAPER, k))
            if ours is not None and theirs is not None:
                bars.append(_beats(f"{name}: {rule}", k, ours, theirs))
            if ours is not None:
                bars.append(_steady(f"{name}: {rule}", k, ours))
        four, many = found.get((rule, 4)), found.get((PAPER, 32))
        if four is not None and many is not None:
            bars.append(
                Bar(
                    f"{name}: {rule} at k = 4 is above {PAPER} at k = 32",
                    f"{four.mean:.1f} against {many.mean:.1f}",
                    four.mean > many.mean,
                )
            )
    auto = found.get((AUTO[0], 4))
    for rule in LABEL_FREE:
        free = found.get((rule, 4))
        if auto is not None and free is not None:
            bars.append(
                Bar(
                    f"{name}: {rule} lies at most {WITHIN:g} points below {AUTO[0]} at k = 4",
                    f"{free.mean:.1f} against {auto.mean:.1f}",
                    free.mean >= auto.mean - WITHIN,
                )
            )
    return bars


def _beats(rule: str, k: int, ours: Outcome, theirs: Outcome) -> Bar:
    mean, fifth = ours.mean - theirs.mean, ours.fifth - theirs.fifth
    return Bar(
        f"{rule} at k = {k} is {MEAN:g} points of J above {PAPER}, its 5th percentile {FIFTH:g}",
        f"{mean:+.1f} and {fifth:+.1f}",
        mean >= MEAN and fifth >= FIFTH,
    )


def _steady(rule: str, k: int, ours: Outcome) -> Bar:
    share = ours.fifth / ours.mean if ours.mean > 0 else 0.0
    return Bar(
        f"{rule} at k = {k} keeps {STEADY:.0%} of its mean in its 5th percentile",
        f"{share:.0%}",
        share >= STEADY,
    )


def measure(options: argparse.Namespace) -> Found:
    """Every rule on every organism."""
    rules = names_of(options.rules.split(",") if options.rules else None)
    draws = options.draws or (5 if options.quick else DRAWS)
    ks = KS_QUICK if options.quick else KS

    def measure_one(name: str, backbone: Backbone, sets: PromptSets) -> Part:
        reading = read(name, backbone, sets, root=options.root)
        outcomes = compare(reading, rules=rules, ks=ks, draws=draws)
        plain = {"layer": reading.layer, "outcomes": [asdict(o) for o in outcomes]}
        return Part(plain, to_markdown(name, outcomes, draws), bars_of(name, outcomes))

    return over_organisms(options, measure_one, results={"draws": draws})


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--draws", type=count, help=f"of examples; {DRAWS} by default, 5 if quick")
    parser.add_argument("--rules", help="comma-separated names; all by default")


BENCHMARK = Benchmark(
    __package__, "thresholds", __doc__, measure, _add_options, check=look_for_prompts
)


if __name__ == "__main__":
    BENCHMARK.main()
