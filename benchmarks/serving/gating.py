"""What deciding inside an answer's prefill costs, and how near the ideal is, in processor time.

python -m benchmarks.serving.gating [--quick] [--models NAMES] [--loads NAMES] [--json FILE] ...

Three engines answer the same requests side by side (`side_by_side.py`): one that leaves the model
alone, the same again, and a fused one; where all requests come at once the ideal's passes are among
them. How far the engine and itself are apart says what is left of the machine's noise. Percentiles
rest on a few requests each; `by request` is the median over all of a request's time by the ungated
engine's for the same one. What is on no clock here `generation` measures too, by the clock on the
wall.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.choice import add_loads, wanted
from benchmarks.serving.claims import bars, claims_for
from benchmarks.serving.load import FEW, MANY, Job, Load, all_at_once, closed, draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.catalogue import FUSED, IDEAL, UNGATED
from benchmarks.serving.peers.ideal import Ideal
from benchmarks.serving.peers.ours import Fused, Ungated
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.side_by_side import Made, answered, has_a_clock, left_out
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.timings import Timings, share_of_ideal
from recal.demo.results import Bar

AGAIN = "ungated, again"
N_REQUESTS = {"organism": 192, "30M": 64, "300M": 16}
"""Of 16 clients, and all at once."""
N_QUICK = 6
N_ALONE = {"organism": 24, "30M": 24, "300M": 4}
"""Of one client: what they cost does not depend on their number, but the medians rest on them."""
QUICK = ("organism",)
_SHARE = 0.9
"""Of the ideal's speed: `claims` holds the whole load to it, and here what came before rows ran
empty."""


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    if not has_a_clock(options):
        return Found({}, left_out("gating"), ())
    tables: list[str] = []
    found_bars: list[Bar] = []
    results: dict[str, dict[str, Any]] = {}
    weights = {}
    for name in models.names_in(options, quick=QUICK):
        setting, jobs = _setting(name, options)
        weights[name] = setting.backbone.identity.weights_digest
        results[name] = {}
        for load in _loads(jobs, N_ALONE[name], options):
            what = f"{name}, {load.name}"
            repeats = repeats_of(options)
            made = _made(setting, load)
            each = answered(made, load, base=UNGATED, what=what, repeats=repeats)
            tables.append(each.table)
            claims = claims_for(options.device)
            found_bars += bars(f"{name}, in turns", load.name, each.repeats, claims=claims)
            full = _while_full(each.timed)
            if full is not None:
                claim = f"{what}, in turns: share of the ideal while all rows are taken"
                found_bars.append(Bar(f"{claim} ≥ {_SHARE:g}", str(full), full.median >= _SHARE))
            results[name][load.name] = {
                **each.plain,
                "share_of_ideal_while_full": full and asdict(full),
            }
    return Found({"models": results}, "\n\n".join(tables), tuple(found_bars), weights, options.seed)


def _while_full(timed: Mapping[str, Sequence[Timings]]) -> Spread | None:
    """The fused engine's `share_of_ideal`; None where the ideal is not among them."""
    if IDEAL not in timed:
        return None
    pairs = zip(timed[FUSED], timed[IDEAL], strict=True)
    return spread_of([share_of_ideal(ours, ideal) for ours, ideal in pairs])


def _made(setting: Setting, load: Load) -> Made:
    made: Made = {
        UNGATED: partial(Ungated, setting),
        AGAIN: partial(Ungated, setting),
        FUSED: partial(Fused, setting),
    }
    return made if load.clients is not None else {**made, IDEAL: partial(Ideal, setting)}


def _loads(jobs: Sequence[Job], n_alone: int, options: argparse.Namespace) -> list[Load]:
    known = (closed(jobs[:n_alone], FEW), closed(jobs, MANY), all_at_once(jobs))
    return [load for load in known if load.name in wanted(options)]


def _setting(name: str, options: argparse.Namespace) -> tuple[Setting, tuple[Job, ...]]:
    backbone = models.load(name, options)
    n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
    jobs = draw(backbone, n, seed=options.seed)
    bundle = random_bundle(backbone, thresholds_between(backbone, [job.prompt for job in jobs]))
    return Setting(backbone, lambda n_blocks: backbone, bundle, options.rows), jobs


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    add_loads(parser, ("one", "many", "at-once"))


BENCHMARK = Benchmark(__package__, "gating", __doc__, measure, _add_options)


if __name__ == "__main__":
    BENCHMARK.main()
