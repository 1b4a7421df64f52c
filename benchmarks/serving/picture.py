"""What every way to answer brings beside our ungated engine, as a picture.

python -m benchmarks.serving.picture REPORT... --out FILE

Reports are those that `python -m benchmarks.serving.generation --json FILE` writes, or the whole
benchmark's. Bars are medians over repeats, whiskers the least and most; all requests come at once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import writable
from benchmarks.serving.claims import AT_ONCE
from benchmarks.serving.peers.catalogue import IDEAL, OURS, UNGATED

_COLOURS = {True: "#1a7f5a", False: "#9aa0a6"}
_FLOOR = "#e8a33d"

Models = Mapping[str, Any]


def models_in(path: Path) -> Models:
    """The models of a report, by name.

    Raises:
        ValueError: it is no report of how requests are answered.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        models: Models = report.get("benchmarks", {}).get("generation", report)["models"]
        if all(AT_ONCE in model["loads"] for model in models.values()):
            return models
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"`{path}` is no report of benchmarks.serving ({error!r})") from None
    raise ValueError(f"`{path}` holds no load `{AT_ONCE}`; run benchmarks.serving.generation")


def draw(models: Models, path: Path) -> None:
    """Write the picture, one panel for each model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * len(models), 3.4), layout="constrained")
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    for axis, (name, model) in zip(panels, models.items(), strict=True):
        load = model["loads"][AT_ONCE]
        spreads = {
            peer: figures["tokens_per_s"]["by_ungated"] for peer, figures in load["peers"].items()
        }
        peers = sorted(spreads, key=lambda peer: spreads[peer]["median"])
        medians = [spreads[peer]["median"] for peer in peers]
        below = [spreads[peer]["median"] - spreads[peer]["low"] for peer in peers]
        above = [spreads[peer]["high"] - spreads[peer]["median"] for peer in peers]
        colours = [_FLOOR if peer == IDEAL else _COLOURS[peer in OURS] for peer in peers]
        axis.barh(peers, medians, xerr=[below, above], color=colours, capsize=3)
        for row, median in enumerate(medians):  # where no whisker is
            axis.text(0.02, row, f"{median:.2f}", va="center", color="white", weight="bold")
        axis.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
        axis.set(title=f"{name}, {load['requests']} requests at once")
        axis.set_xlabel(f"useful tokens/s, {UNGATED} = 1")
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__spec__.name}" if __spec__ else None,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("reports", type=Path, nargs="+", metavar="REPORT")
    parser.add_argument("--out", type=writable, required=True, metavar="FILE", help="a PNG")
    options = parser.parse_args(arguments)
    models: dict[str, Any] = {}
    for path in options.reports:
        try:
            models |= models_in(path)
        except ValueError as error:
            parser.error(str(error))
    draw(models, options.out)
    print(f"{options.out}: {', '.join(models)}")


if __name__ == "__main__":
    main()
