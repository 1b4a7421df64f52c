"""Aliases moved under load: calls that fail, answers of two versions, seconds until all follow.

python -m benchmarks.rollout [--embedded] [--mode split|fused] [--quick] [--json FILE] ...

Everything is served here, by default on Ray Serve with two gates behind the edge, from a registry
of its own behind a real `mlflow server`. Two readouts of the organism have two calibrations each,
which answer differently; a steady load asks for verdicts and texts while the alias `champion` moves
between all four. On the way the registry is killed and started again, a gate is killed while the
fleet follows a move, and a challenger is given half of the traffic.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mlflow import MlflowClient

from benchmarks.arguments import count, positive
from benchmarks.mlflow_server import MlflowServer
from benchmarks.report import Benchmark, Found
from benchmarks.rollout.artefacts import Version, register
from benchmarks.rollout.load import Said, Seen, at_rest, mixed, under_load
from benchmarks.rollout.moves import (
    Aliases,
    Moved,
    drawn_between,
    followed,
    kill_a_gate,
    named,
)
from benchmarks.serving.tables import markdown
from recal.demo.results import Bar
from recal.demo.stage import free_port, stage
from recal.inputs import whole_backbone
from recal.registry import Registry
from recal.registry.connection import Connection
from services.client import RecalClient
from services.embedded.runtime import EmbeddedRuntime
from services.readout.mlflow_environment import quieten_mlflow
from services.settings import EdgeSettings, RegistrySettings, ServeSettings, Settings

N_MOVES, N_QUICK = 100, 10
AT_MOST_S = 5.0
"""Bar on the slowest swap of a whole fleet."""
SHARE = 0.5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where it runs, and how hard it is asked."""
    parser.add_argument("--embedded", action="store_true", help="one process instead of Ray Serve")
    parser.add_argument("--mode", choices=("split", "fused"), default="split")
    parser.add_argument("--moves", type=count, help=f"of the alias; {N_MOVES}, quick {N_QUICK}")
    parser.add_argument("--clients", type=count, default=4, help="calls at once")
    parser.add_argument("--poll", type=positive, default=3.0, help="`registry.poll_interval_s`")
    parser.add_argument("--outage", type=positive, default=10.0, help="seconds without a registry")


@dataclass
class Ran:
    """What a run saw beside its calls."""

    moves: list[Moved]
    weights: str
    n_outages: int = 0
    n_kills: int = 0
    canary_seconds: float = 0.0
    n_drawn: int = 0
    n_drawn_otherwise: int = 0
    """Answers of a settled canary by another version than their key is drawn to."""
    n_mixed: int = 0


def measure(options: argparse.Namespace) -> Found:
    """Run it, and count."""
    quieten_mlflow(os.environ)
    with tempfile.TemporaryDirectory() as folder, MlflowServer(Path(folder) / "mlflow") as server:
        server.start()
        seen = Seen()
        ran = asyncio.run(_run(options, server, Path(folder), seen))
    return _found(options, ran, seen)


async def _run(options: argparse.Namespace, server: MlflowServer, folder: Path, seen: Seen) -> Ran:
    settings = _settings(options, server, folder)
    backbone = whole_backbone(settings.backbone, threads=1)
    registered = register(Registry(Connection(server.uri)), backbone, folder)
    aliases = Aliases(MlflowClient(server.uri, server.uri), registered)
    first = registered.versions[0]
    aliases.start_with(first)
    ran = Ran(aliases.moves, backbone.identity.weights_digest)
    async with _served(settings, embedded=options.embedded) as target:
        expected: dict[tuple[str, str], Said] = {}
        for version in registered.versions:
            await _alone(aliases, version, target)
            expected |= await at_rest(target, version)
        aliases.moves.clear()
        async with under_load(target, clients=options.clients, seen=seen):
            await _moves(options, aliases, server, seen, ran)
            await _canary(aliases, seen, ran)
        ran.n_mixed = len(mixed(seen.answers, expected))
    return ran


async def _moves(
    options: argparse.Namespace, aliases: Aliases, server: MlflowServer, seen: Seen, ran: Ran
) -> None:
    """Every move waits until the whole fleet has followed the one before."""
    n_moves = options.moves or (N_QUICK if options.quick else N_MOVES)
    versions = aliases.registered.versions
    for number in range(n_moves):
        if number == n_moves // 3:
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(options.outage)
            await asyncio.to_thread(server.start)
            ran.n_outages += 1
        version = versions[(number + 1) % len(versions)]
        moved = await aliases.promote(version)
        if number == 2 * n_moves // 3 and not options.embedded:
            ran.n_kills += await asyncio.to_thread(kill_a_gate)
        moved.seconds = await followed(seen, moved.at, named(version))
        progress = f"move {number + 1} of {n_moves}, followed in {moved.seconds:.2f} s"
        print(f"{progress}; {len(seen.failures)} failed calls", file=sys.stderr, flush=True)


async def _canary(aliases: Aliases, seen: Seen, ran: Ran) -> None:
    """Half of the keys are the challenger's, on every replica the same."""
    champion, challenger = aliases.registered.versions[:2]
    moved = await aliases.promote(champion)
    moved.seconds = await followed(seen, moved.at, named(champion))
    at = await aliases.canary(challenger, SHARE)
    follows = drawn_between(champion, challenger, SHARE)
    ran.canary_seconds = await followed(seen, at, follows)
    await asyncio.sleep(5.0)
    settled = seen.since(at + ran.canary_seconds)
    ran.n_drawn = len(settled)
    ran.n_drawn_otherwise = sum(not follows(each) for each in settled)


async def _alone(aliases: Aliases, version: Version, target: str) -> None:
    """Promote a version, and wait until it answers, on every replica."""
    seen = Seen()
    async with under_load(target, clients=2, seen=seen):
        moved = await aliases.promote(version)
        await followed(seen, moved.at, named(version))


def _settings(options: argparse.Namespace, server: MlflowServer, folder: Path) -> Settings:
    return Settings(
        mode=options.mode,
        registry=RegistrySettings(tracking_uri=server.uri, poll_interval_s=options.poll),
        edge=EdgeSettings(port=free_port(), metrics_port=None, internal_services=True),
        serve=ServeSettings(
            grpc_port=free_port(), http_port=free_port(), gate_replicas=2, drain_s=1.0
        ),
        state_dir=folder / "state",
        debug_scores=True,
    )


@asynccontextmanager
async def _served(settings: Settings, *, embedded: bool) -> AsyncIterator[str]:
    """Serve everything, and stop it at the end."""
    if not embedded:
        async with stage(settings) as running:
            yield running.target
        return
    runtime = EmbeddedRuntime(settings)
    await runtime.start()
    try:
        async with RecalClient(runtime.address) as client:
            await client.get_info()
        yield runtime.address
    finally:
        await runtime.stop()


def _found(options: argparse.Namespace, ran: Ran, seen: Seen) -> Found:
    seconds = [each.seconds for each in ran.moves if each.seconds is not None]
    slowest = max(seconds)
    where = "one process" if options.embedded else "Ray Serve, two gates"
    results: dict[str, Any] = {
        "mode": options.mode,
        "embedded": options.embedded,
        "poll_interval_s": options.poll,
        "calls": len(seen.answers) + len(seen.failures),
        "failed_calls": len(seen.failures),
        "mixed_version_answers": ran.n_mixed,
        "swap_seconds": slowest,
        "swap_seconds_median": median(seconds),
        "moves": [asdict(each) for each in ran.moves],
        "registry_outages": ran.n_outages,
        "replicas_killed": ran.n_kills,
        "canary_seconds": ran.canary_seconds,
        "canary_answers": ran.n_drawn,
        "canary_answers_of_another_version": ran.n_drawn_otherwise,
        "failures": sorted(set(seen.failures))[:20],
    }
    rows = [
        ["calls", f"{results['calls']:,}"],
        ["of them failed", str(len(seen.failures))],
        ["answers of two versions", str(ran.n_mixed)],
        ["moves of `champion`", str(len(ran.moves))],
        ["until every call followed: median, slowest", f"{median(seconds):.2f} s, {slowest:.2f} s"],
        ["registry killed and started again", str(ran.n_outages)],
        ["gates killed during a move", str(ran.n_kills)],
        ["answers of a canary", str(ran.n_drawn)],
        ["of them by another version than drawn", str(ran.n_drawn_otherwise)],
    ]
    bars = (
        Bar("failed calls = 0", str(len(seen.failures)), not seen.failures),
        Bar("answers computed with two versions = 0", str(ran.n_mixed), ran.n_mixed == 0),
        Bar(f"slowest swap ≤ {AT_MOST_S:g} s", f"{slowest:.2f} s", slowest <= AT_MOST_S),
        Bar(
            "a key gets one version of a canary on every replica",
            f"{ran.n_drawn_otherwise} of {ran.n_drawn} answers of another",
            ran.n_drawn_otherwise == 0 and ran.n_drawn > 0,
        ),
    )
    table = markdown([f"{options.mode}, {where}, poll {options.poll:g} s", ""], rows)
    return Found(results, table, bars, {"organism": ran.weights})


BENCHMARK = Benchmark("benchmarks", "rollout", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
