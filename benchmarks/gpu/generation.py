"""Our engine, ungated and fused, beside transformers' continuous batching and padded `generate`.

python -m benchmarks.gpu.generation [--quick] [--models NAMES] [--batches SIZES] [--json FILE] ...

Prompts of equal length, answers of 64 tokens; as many clients as rows of a batch, each of which
asks again when it is answered. A figure is compared with the peer's of the same repeat.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.gpu import shapes
from benchmarks.gpu.options import (
    NOT_RUN,
    add_options,
    batches_of,
    names_of,
    repeats_of,
    tokens_of,
)
from benchmarks.report import Benchmark, Found
from benchmarks.serving.agreement import same_answers
from benchmarks.serving.artefacts import random_bundle, thresholds_between
from benchmarks.serving.claims import Claim
from benchmarks.serving.load import Job, closed, draw
from benchmarks.serving.measured import MeasuredLoad
from benchmarks.serving.peers.catalogue import FUSED, PADDED, PEERS, TRANSFORMERS, UNGATED
from benchmarks.serving.peers.peer import Peer, Setting
from benchmarks.serving.spread import in_turns
from benchmarks.serving.tables import load_table
from services.backbone.load import Backbone

COMPARED = (UNGATED, FUSED, TRANSFORMERS, PADDED)
N_OUTPUT, N_OUTPUT_QUICK = 64, 6
_REQUESTS_A_CLIENT = 3
_MOST_REPEATS = 5
"""A repeat takes seconds, and has many tokens in it already."""


def claims_for(load: str) -> tuple[Claim, ...]:
    """What must hold on an accelerator at any batch size."""
    return (
        Claim(FUSED, UNGATED, load, "ttft_p50", at_most=1.01),
        Claim(FUSED, UNGATED, load, "tpot_p50", at_most=1.01),
        Claim(UNGATED, TRANSFORMERS, load, "tokens_per_s", at_least=1.0),
        Claim(UNGATED, PADDED, load, "tokens_per_s", at_least=1.0),
    )


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    tables, bars, results = [], [], {}
    for name in names_of(options):
        backbone = shapes.make(name, options)
        found = {batch: _batch(name, backbone, batch, options) for batch in batches_of(options)}
        for load in found.values():
            tables.append(load_table(name, load))
            if shapes.is_accelerated(options):
                bars += [claim.bar(name, load.repeats) for claim in claims_for(load.name)]
        results[name] = {
            f"{batch}": {"same_answers": dict(load.same), "peers": dict(load.repeats)}
            for batch, load in found.items()
        }
        del backbone
    tables += [] if shapes.is_accelerated(options) else [NOT_RUN]
    return Found({"models": results}, "\n\n".join(tables), tuple(bars), seed=options.seed)


def _batch(name: str, backbone: Backbone, batch: int, options: argparse.Namespace) -> MeasuredLoad:
    n_output = N_OUTPUT_QUICK if options.quick else N_OUTPUT
    jobs = draw(
        backbone,
        batch * _REQUESTS_A_CLIENT,
        seed=options.seed,
        prompt_tokens=(tokens_of(options), tokens_of(options)),
        output_tokens=(n_output, n_output),
    )
    load = closed(jobs, batch)
    print(f"{name}, {load.name}: {len(jobs)} requests", flush=True)
    with ExitStack() as stack:
        peers = _peers(_setting(name, backbone, batch, jobs), stack)
        warm_up = closed(jobs[:batch], batch)
        same_answers({each: [peer.run(warm_up)] for each, peer in peers.items()})
        runs = {each: partial(peer.run, load) for each, peer in peers.items()}
        repeats = min(repeats_of(options), _MOST_REPEATS)
        timed = in_turns(runs, repeats=repeats, what=f"{name}, {load.name}")
    return MeasuredLoad.of(load, timed)


def _setting(name: str, backbone: Backbone, batch: int, jobs: Sequence[Job]) -> Setting:
    layer = shapes.layer_read(name, backbone)
    few = [job.prompt for job in jobs[:64]]
    return Setting(
        backbone,
        lambda n_blocks: shapes.first_blocks(backbone, n_blocks),
        random_bundle(backbone, thresholds_between(backbone, few, layer=layer), layer=layer),
        max_rows=batch,
    )


def _peers(setting: Setting, stack: ExitStack) -> Mapping[str, Peer]:
    peers: dict[str, Peer] = {}
    for name in COMPARED:
        peers[name] = PEERS[name](setting)
        stack.callback(peers[name].close)
    return peers


BENCHMARK = Benchmark(__package__, "generation", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
