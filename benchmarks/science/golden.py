"""Our maths against released code of three papers, on its synthetic activations.

python -m benchmarks.science.golden [--json FILE]

Exit status 1 where one does not hold. Without the folder of released values beside the clone the
small copies in the repository are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.report import Benchmark, Found
from benchmarks.science.released import baseline_values, few_shot, values
from benchmarks.science.released.baselines import BASELINES
from benchmarks.science.released.comparison import Comparison, Values
from benchmarks.science.released.gates import GATES
from benchmarks.science.released.paper import PAPER
from recal.demo.results import Bar


@dataclass(frozen=True)
class Compared:
    """One comparison and what came out."""

    key: str
    what: str
    tolerance: str
    seen: float
    held: bool


def compared(comparisons: Sequence[Comparison[Values]], golden: Values) -> Iterator[Compared]:
    """Every comparison on these values."""
    for comparison in comparisons:
        seen = comparison.seen(golden)
        yield Compared(
            key=comparison.key,
            what=comparison.what,
            tolerance=comparison.tolerance,
            seen=seen,
            held=comparison.allows(seen),
        )


def compare(*, whole: bool) -> list[Compared]:
    """All comparisons, with the whole folder or with the small copies."""
    if whole:
        return [
            *compared(PAPER, values.from_folder()),
            *compared(GATES, few_shot.from_folder()),
            *compared(BASELINES, baseline_values.from_folder()),
        ]
    return [
        *compared(PAPER, values.from_copy()),
        *compared(GATES, few_shot.from_copy()),
        *compared(BASELINES, baseline_values.from_copy()),
    ]


def to_markdown(rows: Sequence[Compared]) -> str:
    """A table."""
    lines = [
        "| released value | what is compared | tolerance | seen | held |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{r.key}` | {r.what} | {r.tolerance} | {r.seen:.3g} | {'yes' if r.held else 'NO'} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def measure(options: argparse.Namespace) -> Found:
    """Compare; small copies where the folder is not there."""
    whole = values.FULL.is_dir()
    rows = compare(whole=whole)
    n_held = sum(row.held for row in rows)
    return Found(
        results={
            "values": "the whole folder" if whole else "the repository's small copies",
            "rows": [asdict(row) for row in rows],
        },
        tables=to_markdown(rows),
        bars=(
            Bar(
                "ours is what was released, within every tolerance",
                f"{n_held} of {len(rows)} comparisons",
                n_held == len(rows),
            ),
        ),
    )


BENCHMARK = Benchmark(
    __package__, "golden", __doc__, measure, add_options=lambda parser: None, strict=True
)


if __name__ == "__main__":
    BENCHMARK.main()
