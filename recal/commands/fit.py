"""`recal fit`: one readout per backbone, with its steering."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from recal.choose import Choice
    from recal.fit import Candidate
    from recal.prompts import Prompt
    from recal.readouts import MadeReadout, ReadoutPlan
    from services.readout.bundle import Calibration
    from services.settings import Settings


class Method(StrEnum):
    """How a readout is fitted."""

    RECAL = "recal"
    PAPER = "paper"


class ReadingName(StrEnum):
    """Which of a prompt's tokens are read."""

    LAST = "last"
    INSTRUCTION = "instruction"
    MEAN = "mean"


_Source = Annotated[
    str, typer.Option("--source", help="Source languages; the ten high-resource ones.")
]
_Development = Annotated[
    str,
    typer.Option(
        "--development", help="Languages that may choose what is read; the seven mid ones."
    ),
]
_Method = Annotated[
    Method,
    typer.Option(
        "--method", help="`recal`: searched, converged; `paper`: the probe of arXiv:2606.01196."
    ),
]
_Reading = Annotated[
    ReadingName | None,
    typer.Option(
        "--reading", help="What is read: the prompt's last token, its instruction's, or the mean."
    ),
]


_Parts = Annotated[
    int, typer.Option("--parts", min=1, help="Places read together at most; 1: the best alone.")
]
_Depth = Annotated[
    float, typer.Option("--depth", min=0.01, max=1, help="Share of the blocks that may be read.")
]

_ZonePerClass = Annotated[
    int,
    typer.Option(
        "--zone-per-class",
        min=0,
        help="Validation prompts of development languages that choose the untouched zone's width; "
        "0: it is not chosen.",
    ),
]
_Calibrations = Annotated[
    Path | None,
    typer.Option("--calibrations", help="Also save the source languages' calibrations here."),
]


def fit(
    out: Annotated[Path, typer.Option(help="Where the readout is saved.")] = Path("var/readout"),
    prompts: options.Prompts = "corpus",
    source: _Source = "",
    development: _Development = "",
    method: _Method = Method.RECAL,
    reading: _Reading = None,
    layer: Annotated[int | None, typer.Option(min=0, help="Block to read.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of the subspace of directions.")] = None,
    parts: _Parts = 8,
    depth: _Depth = 0.67,
    per_class: Annotated[int, typer.Option(min=2, help="Training prompts per class.")] = 96,
    search_per_class: Annotated[int, typer.Option(min=1, help="Validation prompts.")] = 2,
    zone_per_class: _ZonePerClass = 12,
    calibrations: _Calibrations = None,
    judge: options.JudgeName = "phrases",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Fit the readout on source languages, and find where and how strongly to steer.

    What is not given (--reading, --layer, --rank) is searched for: each source language is scored
    by a fit on the others, each development language by a fit on all, and the mean true positive
    rate at 5 % false positives decides. Several places are read together unless a single one is
    clearly better.
    """
    from rich.console import Console

    from recal.fit import FitPlan
    from recal.inputs import prompts_from, settings_of
    from recal.readouts import ReadoutPlan
    from recal.zone_width import ZonePlan

    plan = FitPlan(
        *_languages(source, development),
        rank=rank,
        layer=layer,
        reading=reading.value if reading is not None else None,
        method=method.value,
        most_parts=parts,
        depth=depth,
    )
    zone = ZonePlan(n=zone_per_class) if zone_per_class else None
    console = Console()
    made, sources = _make(
        settings_of(config, model),
        prompts_from(prompts),
        out,
        ReadoutPlan(fit=plan, n_fit=per_class, n_search=search_per_class, zone=zone),
        judge,
        console,
        calibrated=calibrations is not None,
    )
    console.print(_table(made.choice))
    console.print("\n".join([*_ensembles(made.choice), _summary(made)]))
    if calibrations is not None:
        console.print(_save_calibrations(sources, calibrations))


def _make(
    settings: Settings,
    prompts: Sequence[Prompt],
    out: Path,
    plan: ReadoutPlan,
    judge: str,
    console: Console,
    *,
    calibrated: bool,
) -> tuple[MadeReadout, list[Calibration]]:
    """The readout and, if asked, the calibrations of its own languages."""
    from recal.generate import Generator
    from recal.inputs import judge_of, whole_backbone
    from recal.progress import counting_steps
    from recal.readouts import Watch, calibrate_sources, make_readout

    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    generate, judged_by = Generator(backbone), judge_of(judge, device=settings.backbone.device)
    cache = settings.state_dir / "activations"
    with counting_steps(console=console) as step:
        watch = Watch(
            collected=partial(step, "prompts"),
            compared=partial(step, "places"),
            searched=partial(step, "texts of the search"),
            tried=lambda trial: console.print(trial.in_words),
            widths=partial(step, "texts for the untouched zone"),
            released=partial(step, "texts of released prompts"),
        )
        made = make_readout(
            backbone,
            prompts,
            out,
            plan=plan,
            generate=generate,
            judge=judged_by,
            cache=cache,
            watch=watch,
        )
        if not calibrated:
            return made, []
        sources = calibrate_sources(
            backbone, made, prompts, generate=generate, judge=judged_by, cache=cache, watch=watch
        )
        return made, sources


def _languages(source: str, development: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from recal.languages import HIGH, MID

    return (
        options.languages_of(source) if source else HIGH,
        options.languages_of(development) if development else MID,
    )


def _save_calibrations(calibrations: Sequence[Calibration], folder: Path) -> str:
    from services.readout.artefact import save_calibration

    for calibration in calibrations:
        save_calibration(calibration, folder / calibration.language)
    languages = ", ".join(each.language for each in calibrations)
    # a language that never releases keeps all of the model's false refusals
    said = [
        f"`{each.language}` {each.provenance['release']}"
        for each in calibrations
        if each.thresholds.release is None
    ]
    return "\n".join([f"calibrations of {languages} in {folder}", *said])


def _table(choice: Choice) -> Table:
    """What every single candidate reached: the ranks of a place stand in one cell."""
    from rich.table import Table

    cells: dict[int, dict[str, list[str]]] = {}
    for tried in choice.tried:
        if len(tried.members) == 1:
            ((place, rank, _),) = tried.members
            row = cells.setdefault(place.layer, {})
            row.setdefault(place.reading, []).append(f"{rank}: {tried.transfer:.1%}")
    readings = list(dict.fromkeys(reading for row in cells.values() for reading in row))
    table = Table("block", *readings, title=_TABLE_TITLE)
    for layer in sorted(cells):
        table.add_row(str(layer), *("  ".join(cells[layer].get(r, [])) for r in readings))
    return table


_TABLE_TITLE = "TPR at 5 % FPR on languages that the fit had not seen, by rank"


def _ensembles(choice: Choice) -> list[str]:
    return [
        f"together {' and '.join(_name(m) for m in tried.members)}: {tried.transfer:.1%}"
        for tried in choice.tried
        if len(tried.members) > 1
    ]


def _name(candidate: Candidate) -> str:
    layer, reading = candidate.place
    share = "" if candidate.share == 1 else f", share {candidate.share:.2f}"
    return f"block {layer} ({reading}, rank {candidate.rank}{share})"


def _zone(made: MadeReadout) -> str:
    if made.width is None:
        return "untouched zone: its width was not chosen; calibrations take 1 posterior sd"
    width = next(each for each in made.width.curve if each.c == made.width.c)
    found = (
        f"untouched zone: {made.width.c:g} posterior sd below the threshold (Δ {width.delta:.1f} "
        "on development languages)"
    )
    if made.width.is_safe:
        return found
    return (
        f"{found}; NO width leaves `{width.least_safe}` as safe as untouched: it lies "
        f"{width.shortfall:.1f} points below"
    )


def _summary(made: MadeReadout) -> str:
    found = made.found
    members = " and ".join(_name(member) for member in made.choice.members)
    return (
        f"chosen: {members}, {made.choice.chosen.transfer:.1%}\n"
        f"readout {made.readout.digest[:12]} in {made.directory}: reads {made.readout.reads}\n"
        f"steers: {found.chosen.in_words} (residual norm {found.steering.typical_norm:.2f})\n"
        f"releases: {found.release.in_words}\n"
        f"{_zone(made)}\n"
        f"the paper's own choice would be block {found.paper.steering.layer}, λ = 1"
    )
