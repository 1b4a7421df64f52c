"""The frozen readout beside its fallback: how often they disagree, and whom the 30 % rule helps.

python -m benchmarks.science.directions [--quick] [--json FILE] [--draws N] [--root PATH]
    [--only NAME]

Beside sound readouts stand two fitted on prompts that the organism knows by heart, and two kinds
that are broken on purpose: frozen weights of shuffled labels, which the rule must see, and a
fallback of shuffled labels, which it must not take.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.arguments import count
from benchmarks.report import Benchmark, Found
from benchmarks.science.grounds import (
    SEED,
    SHIPPED,
    Ground,
    at_place_on_learned,
    fallback_broken,
    frozen_broken,
    in_languages,
    of_benchmark,
    of_shipped,
    papers_probe,
    searched,
    searched_on_learned,
    whole_span,
    whole_span_on_learned,
)
from benchmarks.science.organisms import Part, add_options, look_for_prompts, over_organisms
from benchmarks.science.prompt_sets import PromptSets
from recal.collect import Activations
from recal.demo.results import Bar
from recal.evidence import Beside, gather
from recal.fallback import MOST_APART, by_either
from recal.maths.metrics import auroc, youden_j
from recal.maths.over_draws import Spread
from recal.maths.over_draws import spread as spread_of
from recal.maths.prior import Prior
from recal.prior import prior_for
from recal.prompts import draw
from recal.recalibrate import own_threshold_of, scores_of
from recal.scored_by import source_statistics_of
from services.backbone.load import Backbone
from services.readout.bundle import Readout

KS = (1, 4)
DRAWS, DRAWS_QUICK = 60, 4
SHUFFLES, SHUFFLES_QUICK = 5, 2
FAR = 10.0
"""Points of J by which the direction must be better for the rule to have something to see."""
SEES = 0.9
"""Of these languages and draws, how many it must see where the frozen weights are broken."""
HARM = 1.0
"""Points of J that the rule may cost a readout that is not broken on purpose."""
SHARES = (0.1, 0.15, 0.2, MOST_APART, 0.4)
"""Above which the rule might fire instead."""


CASES: Mapping[str, Callable[[Ground], Readout]] = MappingProxyType(
    {
        "searched": searched,
        "one place, full rank": whole_span,
        "paper's probe": papers_probe,
        "searched, on learned prompts": searched_on_learned,
        "one place, full rank, on learned prompts": whole_span_on_learned,
    }
)
"""Readouts by the name that tables show."""
EVERY_PLACE = "every place in turn, full rank, on learned prompts"
FROZEN_BROKEN, FALLBACK_BROKEN = "control: frozen of shuffled labels", "control: fallback of these"
CONTROLS: Mapping[str, Callable[[Ground, int], Readout]] = MappingProxyType(
    {FROZEN_BROKEN: frozen_broken, FALLBACK_BROKEN: fallback_broken}
)
"""Broken on purpose, by name; each shuffle is another readout."""


class Cell(NamedTuple):
    """One language, readout and draw."""

    language: str
    apart: float
    """Share of unlabelled prompts that both readouts decide differently."""
    surely: bool
    """Its whole interval lies above the rule's share."""
    j: Mapping[str, tuple[float, float]]
    """By scored split, J × 100 of the frozen readout and of the direction."""
    auc: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class LanguageRow:
    """One readout in one language; means over draws, J in points."""

    auc_frozen: float
    auc_direction: float
    apart: float
    fired: float
    j_frozen: float
    j_direction: float
    j_rule: float


@dataclass(frozen=True)
class Row:
    """One readout at one k on one scored split; means over languages and draws. J in points."""

    case: str
    k: int
    split: str
    auc_frozen: float
    auc_direction: float
    apart: float
    fired: float
    """Share of languages and draws."""
    fired_surely: float
    j_frozen: Spread
    j_direction: Spread
    j_rule: Spread
    j_at: Mapping[str, float]
    """Of the rule, were it to fire above another share."""
    right: float | None
    """Of those in which it fired, the share in which the direction was better; None: it never did.
    """
    seen: float | None
    """Of those in which the direction was better by `FAR`, the share in which it fired."""
    languages: Mapping[str, LanguageRow]


def cells_of(readout: Readout, ground: Ground, k: int, draws: Sequence[int]) -> list[Cell]:
    """Decide every draw in every language as `recal recalibrate --own auto` would."""
    assert readout.fallback is not None
    calibration = {la: in_languages(ground.calibration, (la,)) for la in ground.languages}
    held = {
        (split, la): tuple(scores_of(by, found, la) for by in (readout, readout.fallback))
        for split, found in ground.scored.items()
        for la in ground.languages
    }
    cells = []
    for number in draws:
        examples = {la: _drawn(each, k, number) for la, each in calibration.items()}
        priors = _priors(readout, examples)
        for la, few in examples.items():
            beside = Beside(unlabelled=calibration[la], prior=priors[la])
            found = by_either(readout, few, la, beside=beside)
            steer = [m.calibration.thresholds.steer for m in (found.frozen, found.direction)]
            js, areas = {}, {}
            for split in ground.scored:
                both = held[split, la]
                frozen, other = (
                    100 * youden_j(*scores, at) for scores, at in zip(both, steer, strict=True)
                )
                js[split] = (frozen, other)
                areas[split] = (auroc(*both[0]), auroc(*both[1]))
            surely = found.apart.interval().low > MOST_APART
            cells.append(Cell(la, found.apart.share, surely, js, areas))
    return cells


def _priors(readout: Readout, examples: Mapping[str, Activations]) -> dict[str, Prior | None]:
    """What each language knows from the others, by the frozen score."""
    source = source_statistics_of(readout)
    own = {}
    for la, few in examples.items():
        threshold = own_threshold_of(gather(readout, few, la, Beside()).evidence, source)
        if threshold is not None:
            own[la] = threshold
    return {la: prior_for(la, own) for la in examples}


def row_of(case: str, k: int, split: str, cells: Sequence[Cell]) -> Row:
    """Count."""
    frozen, other = np.array([cell.j[split] for cell in cells]).T
    apart = np.array([cell.apart for cell in cells])
    fired = apart > MOST_APART
    far = other - frozen >= FAR
    languages = {
        la: _language_row([cell for cell in cells if cell.language == la], split)
        for la in dict.fromkeys(cell.language for cell in cells)
    }
    return Row(
        case=case,
        k=k,
        split=split,
        auc_frozen=float(np.mean([each.auc_frozen for each in languages.values()])),
        auc_direction=float(np.mean([each.auc_direction for each in languages.values()])),
        apart=float(apart.mean()),
        fired=float(fired.mean()),
        fired_surely=float(np.mean([cell.surely for cell in cells])),
        j_frozen=spread_of(frozen),
        j_direction=spread_of(other),
        j_rule=spread_of(np.where(fired, other, frozen)),
        j_at={f"{at:g}": float(np.where(apart > at, other, frozen).mean()) for at in SHARES},
        right=float((other > frozen)[fired].mean()) if fired.any() else None,
        seen=float(fired[far].mean()) if far.any() else None,
        languages=languages,
    )


def _language_row(cells: Sequence[Cell], split: str) -> LanguageRow:
    frozen, other = np.array([cell.j[split] for cell in cells]).T
    areas = np.array([cell.auc[split] for cell in cells]).mean(axis=0)
    apart = np.array([cell.apart for cell in cells])
    fired = apart > MOST_APART
    return LanguageRow(
        auc_frozen=float(areas[0]),
        auc_direction=float(areas[1]),
        apart=float(apart.mean()),
        fired=float(fired.mean()),
        j_frozen=float(frozen.mean()),
        j_direction=float(other.mean()),
        j_rule=float(np.where(fired, other, frozen).mean()),
    )


def _drawn(activations: Activations, k: int, number: int) -> Activations:
    wanted = {id(p) for p in draw(activations.prompts, k, number=number)}
    return activations.subset([i for i, p in enumerate(activations.prompts) if id(p) in wanted])


def bars_of(name: str, rows: Sequence[Row]) -> tuple[Bar, ...]:
    """What the rule must do: see weights that are broken, and not harm those that are not."""
    bars = []
    for row in rows:
        if row.k != max(KS) or row.split != "test":
            continue
        gain = row.j_rule.mean - row.j_frozen.mean
        measured = f"fires in {row.fired:.0%} of languages and draws, {gain:+.1f} points of J"
        if row.case == FROZEN_BROKEN:
            seen = 0.0 if row.seen is None else row.seen
            claim = f"the rule fires in {SEES:.0%} of cells where the direction is {FAR:g} points"
            bars.append(
                Bar(f"{name}: {claim} better, frozen weights broken", f"{seen:.0%}", seen >= SEES)
            )
        else:
            claim = f"the rule costs no more than {HARM:g} point of J"
            bars.append(Bar(f"{name}, {row.case}: {claim}", measured, gain >= -HARM))
    return tuple(bars)


def to_markdown(ground: Ground, rows: Sequence[Row], draws: int) -> str:
    """A table for the results page."""
    lines = [
        f"{ground.name}: means over {' '.join(ground.languages)}; J × 100 over {draws} draws a "
        "language (5th percentile)",
        "",
        "| readout | prompts | k | AUC: frozen | direction | apart, % | rule fires, % (surely) "
        "| J: frozen | direction | rule | right when it fires, % | seen, % |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        js = (f"{each.mean:.1f} ({each.p5:.0f})" for each in (r.j_frozen, r.j_direction, r.j_rule))
        lines.append(
            f"| {r.case} | {r.split} | {r.k} | {r.auc_frozen:.3f} | {r.auc_direction:.3f} "
            f"| {100 * r.apart:.1f} | {100 * r.fired:.0f} ({100 * r.fired_surely:.0f}) "
            f"| {' | '.join(js)} | {_percent(r.right)} | {_percent(r.seen)} |"
        )
    return "\n".join([*lines, "", *_by_share(rows)]) + "\n"


def _by_share(rows: Sequence[Row]) -> list[str]:
    """What the rule would reach, were it to fire above another share."""
    few = [row for row in rows if row.k == max(KS)]
    names = " | ".join(f"{100 * share:.0f} %" for share in SHARES)
    lines = [
        f"J × 100 of the rule at k = {max(KS)}, were it to fire above",
        "",
        f"| readout | prompts | {names} | never |",
        f"|---|---|{'---|' * len(SHARES)}---|",
    ]
    for row in few:
        js = " | ".join(f"{each:.1f}" for each in row.j_at.values())
        lines.append(f"| {row.case} | {row.split} | {js} | {row.j_frozen.mean:.1f} |")
    return lines


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"


def measure_ground(ground: Ground, *, draws: int, shuffles: int) -> Part:
    """Every readout of one organism; places and shuffles share the draws among them."""
    makers = {name: [partial(make, ground)] for name, make in CASES.items()}
    makers[EVERY_PLACE] = [
        partial(at_place_on_learned, ground, place) for place in ground.plan.places(ground.learned)
    ]
    makers |= {
        name: [partial(make, ground, seed) for seed in range(SEED, SEED + shuffles)]
        for name, make in CONTROLS.items()
    }
    rows = []
    for name, variants in makers.items():
        readouts = [make() for make in variants]
        for k in KS:
            cells = [
                cell
                for turn, readout in enumerate(readouts)
                for cell in cells_of(readout, ground, k, range(1 + turn, draws + 1, len(readouts)))
            ]
            rows += [row_of(name, k, split, cells) for split in ground.scored]
        print(f"{ground.name}: {name}: rule fires in {rows[-1].fired:.0%}", flush=True)
    plain: dict[str, Any] = {"rows": [asdict(row) for row in rows]}
    return Part(plain, to_markdown(ground, rows, draws), bars_of(ground.name, rows))


def measure(options: argparse.Namespace) -> Found:
    """Every readout on every organism, the shipped one last."""
    draws = options.draws or (DRAWS_QUICK if options.quick else DRAWS)
    of_ground = partial(
        measure_ground, draws=draws, shuffles=SHUFFLES_QUICK if options.quick else SHUFFLES
    )

    def measure_one(name: str, backbone: Backbone, sets: PromptSets) -> Part:
        return of_ground(of_benchmark(name, backbone, sets, options.root))

    found = over_organisms(options, measure_one, results={"ks": KS, "draws": draws}, seed=SEED)
    if options.only:
        return found
    ground = of_shipped(options.root, quick=options.quick)
    part = of_ground(ground)
    return replace(
        found,
        results={
            **found.results,
            "organisms": {**found.results["organisms"], SHIPPED: part.results},
        },
        tables=f"{found.tables}\n{part.table}",
        bars=(*found.bars, *part.bars),
        weights={**found.weights, SHIPPED: ground.identity.weights_digest},
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--draws", type=count, help=f"{DRAWS} by default, {DRAWS_QUICK} if quick")


BENCHMARK = Benchmark(
    __package__, "directions", __doc__, measure, _add_options, check=look_for_prompts
)


if __name__ == "__main__":
    BENCHMARK.main()
