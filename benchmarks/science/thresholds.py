"""Threshold rules on the same activations: how good they are, and how much the draw matters.

python -m benchmarks.science.thresholds [--quick] [--json FILE] [--draws N] [--rules NAMES]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.science.organisms import RECIPES, add_options, organism_by
from benchmarks.science.prompt_sets import LOW, benchmark_prompts
from benchmarks.science.reading import Reading, read
from benchmarks.science.rules import RULES, WITHOUT_EXAMPLES, Case, j_of, names_of

KS = (1, 2, 4, 32)
DRAWS = 60


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    parser.add_argument("--draws", type=int, help=f"of examples; {DRAWS} by default, 5 if quick")
    parser.add_argument("--rules", help="comma-separated names; all by default")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rules = names_of(options.rules.split(",") if options.rules else None)
    draws = options.draws or (5 if options.quick else DRAWS)
    sets = benchmark_prompts(options.data)
    organisms: dict[str, Any] = {}
    for name in [options.only] if options.only else RECIPES:
        backbone = organism_by(options, name, sets)
        reading = read(name, backbone, sets, root=options.root)
        outcomes = compare(reading, rules=rules, draws=draws)
        organisms[name] = {
            "weights": backbone.identity.weights_digest,
            "layer": reading.layer,
            "outcomes": [asdict(o) for o in outcomes],
        }
        print(to_markdown(name, outcomes, draws))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "command": " ".join(["python -m benchmarks.science.thresholds", *sys.argv[1:]]),
            "date": datetime.now(UTC).date().isoformat(),
            "draws": draws,
            "organisms": organisms,
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
