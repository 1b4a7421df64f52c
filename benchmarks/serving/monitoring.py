"""What looking at answers costs: our engine with the response-side monitor beside itself without.

python -m benchmarks.serving.monitoring [--quick] [--models NAMES] [--json FILE] ...

The monitor never stops an answer here, so both write the same tokens. Text is held back until it
was looked at, so its first piece comes later: `first text` is when a client sees it. The engine
without a monitor runs twice in each turn; how far the two are apart is what the machine adds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import models
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.claims import ratio_between
from benchmarks.serving.load import Load, all_at_once, closed, draw
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.ours import Monitored, Ungated
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.spread import Spread, in_turns
from benchmarks.serving.tables import markdown
from recal.demo.results import Bar
from services.backbone.load import Backbone
from services.generation.monitor import monitor_of

OFF, AGAIN, EVERY_TOKEN, EVERY_16 = "off", "off, again", "a look at every token", "a look every 16"
AT_LEAST = 0.97
"""Bar on tokens per second where all come at once, a look every 16 by off."""
N_REQUESTS = {"organism": 96, "30M": 48, "300M": 16}
N_QUICK, N_ALONE = 6, 8
QUICK = ("organism",)
FIGURES = {"tokens_per_s": "tokens/s", "cpu_s": "processor time", "ttft_p50": "first text, p50"}

Ratios = Mapping[str, Mapping[str, Spread]]
"""By way, then by figure: by `off` of the same repeat."""


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    tables, bars, results, weights = [], [], {}, {}
    for name in models.names_in(options, quick=QUICK):
        backbone = models.load(name, options)
        weights[name] = backbone.identity.weights_digest
        n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
        jobs = draw(backbone, n, seed=options.seed)
        at_once = all_at_once(jobs)
        found: dict[str, Any] = {}
        for load in (closed(jobs[:N_ALONE], 1), at_once):
            print(f"{name}, {load.name}: {len(load.jobs)} requests", flush=True)
            ratios = _ratios(backbone, load, options)
            tables.append(_table(name, load, ratios))
            found[load.name] = {
                way: {figure: asdict(each) for figure, each in figures.items()}
                for way, figures in ratios.items()
            }
            if load.name == at_once.name:
                bars.append(_bar(name, load, ratios))
        results[name] = found
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), weights, options.seed)


def _ratios(backbone: Backbone, load: Load, options: argparse.Namespace) -> Ratios:
    bundle = random_bundle(backbone, thresholds_between(backbone, [j.prompt for j in load.jobs]))
    setting = Setting(backbone, lambda n_blocks: backbone, bundle, options.rows)
    looks = {EVERY_TOKEN: 1, EVERY_16: 16}
    peers: dict[str, Ungated] = {OFF: Ungated(setting), AGAIN: Ungated(setting)}
    for way, every in looks.items():
        monitor = monitor_of(bundle.readout, threshold=math.inf, every=every)
        peers[way] = Monitored(setting, monitor)
    for peer in peers.values():
        peer.run(all_at_once(load.jobs[:4]))  # warm-up
    repeats = in_turns(
        {way: partial(_figures, peer, load) for way, peer in peers.items()},
        repeats=repeats_of(options),
        what=f"{backbone.identity.name}, {load.name}, monitor",
    )
    return {
        way: {figure: ratio_between(repeats, way, OFF, figure) for figure in FIGURES}
        for way in (AGAIN, *looks)
    }


def _figures(peer: Ungated, load: Load) -> dict[str, float]:
    """Of one turn; processor time of the whole process, which others on the machine hardly move."""
    started = time.process_time()
    found = peer.run(load).figures()
    return found | {"cpu_s": time.process_time() - started}


def _table(model: str, load: Load, ratios: Ratios) -> str:
    head = [f"{model}, {load.name} ({len(load.jobs)})", *(f"{f} × off" for f in FIGURES.values())]
    rows = [[way, *(str(each) for each in figures.values())] for way, figures in ratios.items()]
    return markdown(head, rows)


def _bar(model: str, load: Load, ratios: Ratios) -> Bar:
    ratio = ratios[EVERY_16]["tokens_per_s"]
    claim = f"{model}, {load.name}: tokens/s with {EVERY_16} by {OFF} ≥ {AT_LEAST:g}"
    return Bar(claim, str(ratio), ratio.median >= AT_LEAST)


BENCHMARK = Benchmark(__package__, "monitoring", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
