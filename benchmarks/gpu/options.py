"""What every part of this benchmark takes on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from benchmarks.arguments import count
from benchmarks.gpu.shapes import SHAPES

BATCHES, BATCHES_QUICK = (1, 8, 32, 128), (1, 2)
N_PROMPT, N_PROMPT_QUICK = 200, 40
REPEATS, REPEATS_QUICK = 20, 2
NOT_RUN = "not run on a GPU yet: small models of the same architectures, on a CPU"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Beside `--quick` and `--json`."""
    default = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--models", default=",".join(SHAPES), metavar="NAMES", help=f"of {', '.join(SHAPES)}"
    )
    parser.add_argument("--device", default=default, help="a torch device")
    parser.add_argument("--threads", type=count, default=1, help="of torch on a CPU")
    parser.add_argument("--seed", type=int, default=0, help="of weights and words")
    parser.add_argument(
        "--repeats", type=count, metavar="N", help=f"of what is timed; {REPEATS} by default"
    )
    parser.add_argument("--batches", metavar="SIZES", help=f"e.g. {','.join(map(str, BATCHES))}")
    parser.add_argument("--tokens", type=count, metavar="N", help="of every prompt; 200 by default")


def names_of(options: argparse.Namespace) -> list[str]:
    """The models that were asked for; of a quick run the first."""
    names = [name for name in options.models.split(",") if name]
    return names[:1] if options.quick else names


def batches_of(options: argparse.Namespace) -> Sequence[int]:
    """Batch sizes.

    Raises:
        SystemExit: one is no number of at least 1.
    """
    if options.batches is None:
        return BATCHES_QUICK if options.quick else BATCHES
    try:
        return [count(each) for each in options.batches.split(",")]
    except argparse.ArgumentTypeError as error:
        raise SystemExit(f"--batches: {error}") from None


def tokens_of(options: argparse.Namespace) -> int:
    """Tokens of each prompt."""
    return options.tokens or (N_PROMPT_QUICK if options.quick else N_PROMPT)


def repeats_of(options: argparse.Namespace) -> int:
    """How often everything is timed."""
    return options.repeats or (REPEATS_QUICK if options.quick else REPEATS)
