"""What every part of this benchmark takes on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.arguments import count, positive
from benchmarks.serving.models import DTYPES, MODELS, ROOT

REPEATS, REPEATS_QUICK = 5, 2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Beside `--quick` and `--json`."""
    parser.add_argument(
        "--models", default=",".join(MODELS), metavar="NAMES", help=f"of {', '.join(MODELS)}"
    )
    parser.add_argument("--dtype", choices=tuple(DTYPES), help="of all models, not each its own")
    parser.add_argument("--device", default="cpu", help="a torch device")
    parser.add_argument("--threads", type=count, default=1, help="of torch; 1 by default")
    parser.add_argument("--seed", type=int, default=0, help="of lengths, words and arrivals")
    parser.add_argument("--requests", type=count, metavar="N", help="of each load")
    parser.add_argument("--rows", type=count, default=16, help="answered together; 16 by default")
    parser.add_argument(
        "--utilisation",
        type=positive,
        default=0.7,
        metavar="SHARE",
        help="of what our ungated engine can do, asked for by Poisson arrivals; 0.7 by default",
    )
    parser.add_argument(
        "--repeats", type=count, metavar="N", help=f"of what is timed; {REPEATS} by default"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, metavar="PATH", help=f"where models lie; {ROOT}"
    )


def repeats_of(options: argparse.Namespace) -> int:
    """How often everything is timed."""
    return options.repeats or (REPEATS_QUICK if options.quick else REPEATS)
