"""Language identification: time for 20 and 2,000 characters, and accuracy on the corpus.

python -m benchmarks.language_id [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.arguments import writable
from recal.languages import ALL
from recal.organism.corpus import combinations
from services.language_id.identifier import LanguageIdService

LENGTHS = (20, 2000)
TIMED = ("en", "ru", "zh", "my", "sw")
N_CALLS = 500
N_WARM_UP_CALLS = 20


def prompts(language: str) -> list[str]:
    """Every prompt of the corpus in one language."""
    return [combination.prompt.text for combination in combinations(language)]


async def milliseconds(service: LanguageIdService, text: str) -> list[float]:
    """Time of each of `N_CALLS` calls on one text."""
    times = []
    for call in range(N_WARM_UP_CALLS + N_CALLS):
        start = time.perf_counter()
        await service.identify(text)
        if call >= N_WARM_UP_CALLS:
            times.append((time.perf_counter() - start) * 1000)
    return times


async def latency(service: LanguageIdService) -> list[dict[str, Any]]:
    """Median and 99th percentile by language and length."""
    rows = []
    for language in TIMED:
        text = " ".join(prompts(language))
        for length in LENGTHS:
            times = await milliseconds(service, text[:length])
            p50, p99 = np.quantile(times, [0.5, 0.99])
            rows.append(
                {
                    "language": language,
                    "characters": length,
                    "p50_ms": round(float(p50), 3),
                    "p99_ms": round(float(p99), 3),
                }
            )
    return rows


async def accuracy(service: LanguageIdService) -> dict[str, dict[str, float]]:
    """Share of each language's prompts that are named right, named wrong, and not named."""
    found = {}
    for language in ALL:
        named = Counter([(await service.identify(text)).language for text in prompts(language)])
        total = sum(named.values())
        right, abstained = named[language] / total, named[None] / total
        found[language] = {
            "recognised": round(right, 4),
            "abstained": round(abstained, 4),
            "taken_for_another": round(abs(1 - right - abstained), 4),
        }
    return found


def print_report(report: dict[str, Any]) -> None:
    """The report as two plain tables."""
    print(f"{'language':<10}{'characters':>12}{'p50 ms':>10}{'p99 ms':>10}")
    for row in report["latency"]:
        print(f"{row['language']:<10}{row['characters']:>12}{row['p50_ms']:>10}{row['p99_ms']:>10}")
    print(f"\n{'language':<10}{'recognised':>12}{'abstained':>12}{'another':>10}")
    for language, shares in report["accuracy"].items():
        print(f"{language:<10}" + "".join(f"{100 * share:>10.1f} %" for share in shares.values()))


async def measure() -> dict[str, Any]:
    """Everything this benchmark reports."""
    service = LanguageIdService()
    return {
        "model": "lid.176.ftz",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "latency": await latency(service),
        "accuracy": await accuracy(service),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and, if asked, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the report here too")
    given = parser.parse_args(arguments)
    report = asyncio.run(measure())
    print_report(report)
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
