"""What the way to a verdict costs: edge, Ray Serve and handles; language identification; frames.

python -m benchmarks.serving.transport [--quick] [--ray] [--json FILE] ...

`Recal.Check` over gRPC through the edge and Ray Serve, beside a plain grpc.aio server that makes
the same call of the gate: once with a gate that echoes, so that nothing but the way is timed, and
once with the shipped organism's. A quick run leaves Ray Serve out, unless it is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.report import Benchmark, Found
from benchmarks.serving.calls import PLAIN, SERVE, measured_calls
from benchmarks.serving.frames import measured_frames
from benchmarks.serving.options import add_options as add_shared
from benchmarks.serving.options import repeats_of
from benchmarks.serving.spread import Spread, ratio_of, spread_of
from benchmarks.serving.tables import markdown
from recal.demo.results import Bar
from recal.organism.corpus import combinations
from services.language_id.identifier import LanguageIdService

AT_MOST_BY_PLAIN = 2.5
"""Bar on the p50 of a call through edge and Serve, by that of a plain one."""
AT_MOST_MS = 1.0
"""Bar on language identification's p99."""
CHARACTERS = (20, 2_000)
LANGUAGES = ("en", "sw", "ru", "zh", "my")
N_CALLS, N_QUICK = 300, 20
_WARM_UP = 20

Tables = list[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of every part, and Ray Serve in a quick run."""
    add_shared(parser)
    parser.add_argument("--ray", action="store_true", help="in a quick run too")


def measure(options: argparse.Namespace) -> Found:
    """Measure everything."""
    n = N_QUICK if options.quick else N_CALLS
    results: dict[str, Any] = {}
    tables: Tables = []
    bars: list[Bar] = []
    if options.quick and not options.ray:
        tables.append("calls through Ray Serve: left out of a quick run; ask with `--ray`")
    else:
        _calls(measured_calls(n, repeats=repeats_of(options)), results, tables, bars)
    _language_id(n, results, tables, bars)
    _frames(options, results, tables, bars)
    return Found(results, "\n\n".join(tables), tuple(bars), seed=options.seed)


def _calls(
    found: Mapping[str, Mapping[str, Sequence[float]]],
    results: dict[str, Any],
    tables: Tables,
    bars: list[Bar],
) -> None:
    """Seconds of the median call of each repeat, by gate and way."""
    rows = []
    for gate, ways in found.items():
        ratio = ratio_of(ways[SERVE], ways[PLAIN])
        added = spread_of([(a - b) * 1e3 for a, b in zip(ways[SERVE], ways[PLAIN], strict=True)])
        claim = f"Recal.Check through edge and Serve by plain grpc.aio, {gate}: p50 ≤ "
        bars.append(
            Bar(f"{claim}{AT_MOST_BY_PLAIN:g}", str(ratio), ratio.median <= AT_MOST_BY_PLAIN)
        )
        rows.append([gate, str(_ms(ways[PLAIN])), str(_ms(ways[SERVE])), str(ratio), str(added)])
        results[gate] = {
            "p50_s": {way: asdict(spread_of(seconds)) for way, seconds in ways.items()},
            "serve_by_plain": asdict(ratio),
            "added_ms": asdict(added),
        }
    head = ["Recal.Check, p50", "plain grpc.aio ms", "edge and Serve ms", "×", "added ms"]
    tables.append(markdown(head, rows))


def _language_id(n: int, results: dict[str, Any], tables: Tables, bars: list[Bar]) -> None:
    service = LanguageIdService()
    rows, worst = [], dict.fromkeys(CHARACTERS, 0.0)
    for language in LANGUAGES:
        text = " ".join(each.prompt.text for each in combinations(language))
        for characters in CHARACTERS:
            wall, cpu = _guesses(service, text[:characters], n)
            worst[characters] = max(worst[characters], cpu[1])
            rows.append([f"{language}, {characters:,}", *(f"{each:.3f}" for each in (*wall, *cpu))])
    for characters, p99 in worst.items():
        claim = f"language ID, {characters:,} characters, worst language: p99 ≤ {AT_MOST_MS:g} ms"
        bars.append(Bar(f"{claim} of processor time", f"{p99:.3f} ms", p99 <= AT_MOST_MS))
    head = ["language, characters", "wall p50 ms", "wall p99 ms", "processor p50", "processor p99"]
    tables.append(markdown(head, rows))
    results["language_id_p99_ms"] = {str(k): v for k, v in worst.items()}


def _guesses(
    service: LanguageIdService, text: str, n: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """p50 and p99 in milliseconds: by the clock, and of the processor, which others share."""
    wall, cpu = [], []
    for call in range(_WARM_UP + n):
        started, worked = time.perf_counter(), time.thread_time()
        service.guess(text)
        if call >= _WARM_UP:
            wall.append(time.perf_counter() - started)
            cpu.append(time.thread_time() - worked)
    return _p50_p99(wall), _p50_p99(cpu)


def _frames(
    options: argparse.Namespace, results: dict[str, Any], tables: Tables, bars: list[Bar]
) -> None:
    found = asyncio.run(measured_frames(repeats_of(options), quick=options.quick))
    base = next(iter(found))
    rows = []
    for frame_ms, figures in found.items():
        values = {name: [each[name] for each in figures] for name in figures[0]}
        by_single = {
            name: ratio_of(values[name], [each[name] for each in found[base]]) for name in values
        }
        rows.append(
            [
                f"{frame_ms:g} ms" if frame_ms else "every token",
                *(f"{spread_of(values[name]).median:.3g}" for name in values),
                *(str(by_single[name]) for name in values),
            ]
        )
        results[f"frames_{frame_ms:g}_ms"] = {k: asdict(spread_of(v)) for k, v in values.items()}
    names = list(found[base][0])
    tables.append(markdown(["gathered for", *names, *(f"{name} ×" for name in names)], rows))


def _ms(seconds: Sequence[float]) -> Spread:
    return spread_of([each * 1e3 for each in seconds])


def _p50_p99(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = (float(each) * 1e3 for each in np.percentile(seconds, [50, 99]))
    return p50, p99


BENCHMARK = Benchmark(__package__, "transport", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
