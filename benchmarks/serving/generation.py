"""Our engine, ungated and gated, beside its peers on the same requests.

python -m benchmarks.serving.generation [--quick] [--models NAMES] [--loads NAMES] [--json FILE] ...

Requests have log-uniform lengths (`load.py`) and end by length alone. Four loads: one client, 16
clients, all requests at once (mixed load), and Poisson arrivals at a share of what our ungated
engine did with all at once in this run. Every peer takes its turn in every repeat, and a figure is
compared with the peer's of the same repeat: median (least–most) over repeats. A large model takes
more than an hour on a CPU: stderr tells of every run, and has a load's table when it is known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.report import Benchmark, Found
from benchmarks.serving import claims, memory, models
from benchmarks.serving.agreement import same_answers
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.choice import add_loads, wanted
from benchmarks.serving.claims import ARRIVING, AT_ONCE, beside_ungated
from benchmarks.serving.load import FEW, MANY, Job, Load, all_at_once, closed, draw, poisson
from benchmarks.serving.measured import MeasuredLoad
from benchmarks.serving.options import add_options, repeats_of
from benchmarks.serving.peers.catalogue import IDEAL, OURS, PEERS, UNGATED
from benchmarks.serving.peers.peer import Peer, Setting
from benchmarks.serving.spread import in_turns
from benchmarks.serving.tables import load_table, memory_table
from recal.demo.results import Bar

N_REQUESTS = {"organism": 192, "30M": 96, "300M": 48}
"""Of each load. While the last answers end, rows run empty in every engine: 16 rows in the order of
arrival need 216 steps for 48 requests, 350 for 96 and 605 for 192, where full ones would need 157,
297 and 548."""
N_QUICK = 6
_N_ALONE = 8
"""Requests of the load of one client: what they cost does not depend on their number."""
_N_WARM_UP, _WARM_UP_TOKENS = 4, 8
QUICK = ("organism",)


@dataclass(frozen=True)
class Measured:
    """One model's figures."""

    loads: Mapping[str, MeasuredLoad]
    """By name."""
    memory: Mapping[str, int | None]
    """Peak bytes above the loaded model of each peer, all requests at once."""
    digest: str


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    found = {name: _model(name, options) for name in models.names_in(options, quick=QUICK)}
    claimed = claims.claims_for(options.device.partition(":")[0])
    bars: list[Bar] = []
    tables: list[str] = []
    for name, each in found.items():
        for load in each.loads.values():
            bars += claims.bars(name, load.name, load.repeats, claims=claimed)
            tables.append(load_table(name, load))
        tables += [memory_table(name, each.memory)] if each.memory else []
    return Found(
        results={"models": {name: _plain(each) for name, each in found.items()}},
        tables="\n\n".join(tables),
        bars=tuple(bars),
        weights={name: each.digest for name, each in found.items()},
        seed=options.seed,
    )


def _model(name: str, options: argparse.Namespace) -> Measured:
    backbone = models.load(name, options)
    n = options.requests or (N_QUICK if options.quick else N_REQUESTS[name])
    jobs = draw(backbone, n, seed=options.seed)
    thresholds = thresholds_between(backbone, [job.prompt for job in jobs])
    setting = Setting(
        backbone,
        lambda n_blocks: models.load(name, options, n_blocks=n_blocks),
        random_bundle(backbone, thresholds),
        options.rows,
    )
    loads: dict[str, MeasuredLoad] = {}
    with _all_of(setting) as peers:
        _warm_up(peers, jobs)
        for load in _loads(jobs, loads, options):
            print(f"{name}, {load.name}: {len(load.jobs)} requests", flush=True)
            runs = {each: partial(peers[each].run, load) for each in _answering(peers, load)}
            timed = in_turns(runs, repeats=repeats_of(options), what=f"{name}, {load.name}")
            loads[load.name] = MeasuredLoad.of(load, timed)
            table = load_table(name, loads[load.name])
            print(table, file=sys.stderr, flush=True)
    peaks = {
        peer: memory.peak_bytes(peer, name, options, all_at_once(jobs), thresholds)
        for peer in (PEERS if AT_ONCE in loads else ())
    }
    return Measured(loads, peaks, backbone.identity.weights_digest)


@contextmanager
def _all_of(setting: Setting) -> Iterator[Mapping[str, Peer]]:
    """All peers, which are closed at the end."""
    with ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for name, make in PEERS.items():
            peers[name] = make(setting)
            stack.callback(peers[name].close)
        yield peers


def _warm_up(peers: Mapping[str, Peer], jobs: Sequence[Job]) -> None:
    """Let every peer answer a few short requests, which nobody times.

    Raises:
        RuntimeError: a peer answers otherwise than it must, so that nothing is worth timing.
    """
    few = [
        Job(job.prompt, job.prompt_ids, min(job.n_output, _WARM_UP_TOKENS))
        for job in jobs[:_N_WARM_UP]
    ]
    same_answers({name: [peer.run(all_at_once(few))] for name, peer in peers.items()})


def _loads(
    jobs: Sequence[Job], done: Mapping[str, MeasuredLoad], options: argparse.Namespace
) -> Iterator[Load]:
    """Those that were asked for; the last one by what was measured in the ones before."""
    names = wanted(options)
    known = (closed(jobs[:_N_ALONE], FEW), closed(jobs, MANY), all_at_once(jobs))
    yield from (load for load in known if load.name in names)
    if ARRIVING not in names:
        return
    capacity = median(each["tokens_per_s"] for each in done[AT_ONCE].repeats[UNGATED])
    per_request = sum(job.n_output for job in jobs) / len(jobs)
    rate = options.utilisation * capacity / per_request
    yield poisson(jobs, rate=rate, seed=options.seed)


def _answering(peers: Mapping[str, Peer], load: Load) -> list[str]:
    """Who answers a load: all of them, but only ours where clients wait for answers."""
    if load.name == AT_ONCE:
        return list(peers)
    if load.name == ARRIVING:
        return [name for name in peers if name != IDEAL]
    return [name for name in peers if name in OURS]


def _plain(found: Measured) -> dict[str, Any]:
    return {
        "peak_bytes": dict(found.memory),
        "loads": {
            name: {
                "requests": load.n_requests,
                "same_answers": dict(load.same),
                "peers": beside_ungated(load.repeats),
            }
            for name, load in found.loads.items()
        },
    }


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    add_loads(parser)


BENCHMARK = Benchmark(__package__, "generation", __doc__, measure, _add_options)


if __name__ == "__main__":
    BENCHMARK.main()
