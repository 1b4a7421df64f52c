"""How many prompts of the corpus language identification names right, wrong, and not at all.

python -m benchmarks.language_id [--json FILE]

What it costs is measured by `python -m benchmarks.serving.transport`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter

from benchmarks.report import Benchmark, Found
from benchmarks.serving.tables import markdown
from recal.languages import ALL
from recal.organism.corpus import combinations
from services.language_id.identifier import LanguageIdService

MODEL = "lid.176.ftz"
N_QUICK = 50
"""Of each language."""


def measure(options: argparse.Namespace) -> Found:
    """Shares of every language's prompts."""
    found = asyncio.run(accuracy(N_QUICK if options.quick else None))
    rows = [
        [language, *(f"{share:.1%}" for share in shares.values())]
        for language, shares in found.items()
    ]
    table = markdown(
        [f"language, by {MODEL}", "recognised", "abstained", "taken for another"], rows
    )
    return Found({"model": MODEL, "accuracy": found}, table)


async def accuracy(most: int | None = None) -> dict[str, dict[str, float]]:
    """Shares in [0, 1] that are named right, not named, and named wrong, by language.

    Args:
        most: prompts of each language; None: all of the corpus.
    """
    service = LanguageIdService()
    found = {}
    for language in ALL:
        texts = [each.prompt.text for each in combinations(language)][:most]
        named = Counter([(await service.identify(text)).language for text in texts])
        right, abstained = named[language] / len(texts), named[None] / len(texts)
        found[language] = {
            "recognised": round(right, 4),
            "abstained": round(abstained, 4),
            "taken_for_another": round(abs(1 - right - abstained), 4),
        }
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


BENCHMARK = Benchmark(__package__, "language_id", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
