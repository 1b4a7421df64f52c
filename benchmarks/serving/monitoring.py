"""What looking at answers costs: our engine with the response-side monitor beside itself without.

python -m benchmarks.serving.monitoring [--quick] [--models NAMES] [--loads NAMES] [--json FILE] ...

The monitor never stops an answer here, so all write the same tokens, side by side in one thread
(`side_by_side.py`). Text is held back until it was looked at: `ttft` is when a client sees the
first of it. The engine without a monitor is there twice; how far the two are apart is what the
machine adds.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.choice import add_loads, wanted
from benchmarks.serving.claims import AT_ONCE, Claim
from benchmarks.serving.load import FEW, Load, all_at_once, closed, draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.ours import Monitored, Ungated
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.side_by_side import Made, answered, has_a_clock, left_out
from recal.demo.results import Bar
from services.backbone.load import Backbone
from services.generation.monitor import monitor_of

OFF, AGAIN, EVERY_TOKEN, EVERY_16 = "off", "off, again", "a look at every token", "a look every 16"
CLAIM = Claim(EVERY_16, OFF, AT_ONCE, "tokens_per_s", at_least=0.97)
KINDS = ("ttft",)
"""Time per token says nothing where the first is held back until others are written, too."""
N_REQUESTS = {"organism": 96, "30M": 48, "300M": 16}
N_QUICK, N_ALONE = 6, 8
QUICK = ("organism",)


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    if not has_a_clock(options):
        return Found({}, left_out("monitoring"), ())
    tables: list[str] = []
    bars: list[Bar] = []
    results: dict[str, dict[str, Any]] = {}
    weights = {}
    for name in models.names_in(options, quick=QUICK):
        backbone = models.load(name, options)
        weights[name] = backbone.identity.weights_digest
        n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
        jobs = draw(backbone, n, seed=options.seed)
        results[name] = {}
        for load in (closed(jobs[:N_ALONE], FEW), all_at_once(jobs)):
            if load.name not in wanted(options):
                continue
            what, made = f"{name}, {load.name}", _made(backbone, load, options)
            repeats = repeats_of(options)
            each = answered(made, load, base=OFF, what=what, repeats=repeats, kinds=KINDS)
            tables.append(each.table)
            results[name][load.name] = each.plain
            if load.name == CLAIM.load:
                bars.append(CLAIM.bar(f"{name}, in turns", each.repeats))
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), weights, options.seed)


def _made(backbone: Backbone, load: Load, options: argparse.Namespace) -> Made:
    bundle = random_bundle(backbone, thresholds_between(backbone, [j.prompt for j in load.jobs]))
    setting = Setting(backbone, lambda n_blocks: backbone, bundle, options.rows)
    made: Made = {OFF: partial(Ungated, setting), AGAIN: partial(Ungated, setting)}
    looks = {
        way: monitor_of(bundle.readout, threshold=math.inf, every=every)
        for way, every in ((EVERY_TOKEN, 1), (EVERY_16, 16))
    }
    return {**made, **{way: partial(Monitored, setting, look) for way, look in looks.items()}}


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    add_loads(parser, ("one", "at-once"))


BENCHMARK = Benchmark(__package__, "monitoring", __doc__, measure, _add_options)


if __name__ == "__main__":
    BENCHMARK.main()
