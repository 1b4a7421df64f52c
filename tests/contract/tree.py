"""Where this repository's own files are."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "recal")
_GENERATED = ROOT / "services" / "pb"


def python_files(*folders: str) -> Iterator[Path]:
    """Every Python file that people write in the given folders, all of them by default."""
    for folder in folders or (*PACKAGES, "tests", "benchmarks", "k8s"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if _GENERATED not in path.parents:
                yield path
