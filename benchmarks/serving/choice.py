"""Which loads are measured: a long measurement can be taken load by load."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from benchmarks.serving.claims import ARRIVING, AT_ONCE, MANY, ONE

LOADS = {"one": ONE, "many": MANY, "at-once": AT_ONCE, "arriving": ARRIVING}
"""What each is called on the command line."""


def add_loads(parser: argparse.ArgumentParser, choices: Sequence[str] = tuple(LOADS)) -> None:
    """`--loads`, in `LOADS`' words; all of the choices by default."""
    parser.add_argument(
        "--loads",
        type=partial(loads_named, choices=choices),
        default=tuple(choices),
        metavar="NAMES",
        help=f"of {', '.join(choices)}; all by default",
    )


def loads_named(text: str, choices: Sequence[str] = tuple(LOADS)) -> tuple[str, ...]:
    """Names of loads, separated by commas.

    Raises:
        ArgumentTypeError: one is unknown, or arrivals are asked for without what says how fast they
            come.
    """
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in choices]:
        raise argparse.ArgumentTypeError(f"no load `{unknown[0]}`; choose of {', '.join(choices)}")
    if "arriving" in names and "at-once" not in names:
        raise argparse.ArgumentTypeError("`arriving` comes by what `at-once` measures; add that")
    return names


def wanted(options: argparse.Namespace) -> set[str]:
    """Names of the loads that were asked for, as figures have them."""
    return {LOADS[name] for name in options.loads}
