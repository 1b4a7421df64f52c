"""Figures as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.serving.agreement import REFERENCES
from benchmarks.serving.claims import ratio_between
from benchmarks.serving.measured import MeasuredLoad
from benchmarks.serving.peers.catalogue import UNGATED
from benchmarks.serving.spread import Spread, spread_of
from benchmarks.serving.timings import PERCENTILES

_MIB = 2**20


def load_table(model: str, load: MeasuredLoad) -> str:
    """One load: useful tokens per second, times in milliseconds, ratios to the ungated engine."""
    repeats, same = load.repeats, load.same
    rows = []
    for peer, figures in repeats.items():
        times = [_times(figures, kind) for kind in ("ttft", "tpot")]
        ratios = [
            str(ratio_between(repeats, peer, UNGATED, figure)) if figure in figures[0] else "–"
            for figure in ("tokens_per_s", "ttft_p50", "tpot_p50")
        ]
        speed = spread_of([each["tokens_per_s"] for each in figures])
        alike = f"{same[peer]:.0%} {REFERENCES[peer]}'s" if peer in same else "–"
        rows.append([peer, f"{speed.median:.1f}", *times, *ratios, alike])
    head = [
        f"{model}, {load.name} ({load.n_requests} requests)",
        "useful tokens/s",
        "TTFT ms p50 / p90 / p99",
        "TPOT ms p50 / p90 / p99",
        "tokens/s × ungated",
        "TTFT × ungated",
        "TPOT × ungated",
        "answers that are",
    ]
    return markdown(head, rows)


def memory_table(model: str, peaks: Mapping[str, int | None]) -> str:
    """Peak memory above the loaded model, all requests at once."""
    rows = []
    for peer, peak in peaks.items():
        ungated = peaks[UNGATED]
        if peak is None or ungated is None:
            rows.append([peer, "not measured", "–"])
        else:
            rows.append([peer, f"{peak / _MIB:.0f}", f"{peak / ungated:.2f}"])
    return markdown([f"{model}, peak memory", "MiB above the model", "× ungated"], rows)


def ratio_table(head: Sequence[str], rows: Sequence[tuple[str, Spread, Spread]]) -> str:
    """A figure of each peer, and ours by it."""
    return markdown(head, [[name, str(figure), str(ratio)] for name, figure, ratio in rows])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _times(figures: Sequence[Mapping[str, float]], kind: str) -> str:
    names = [f"{kind}_p{p}" for p in PERCENTILES]
    if names[0] not in figures[0]:
        return "–"
    return " / ".join(f"{spread_of([e[n] for e in figures]).median * 1e3:.1f}" for n in names)
