"""`recal fit`: one readout per backbone, with its steering."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from recal.readouts import MadeReadout


def fit(
    out: Annotated[Path, typer.Option(help="Where the readout is saved.")] = Path("var/readout"),
    prompts: options.Prompts = "corpus",
    source: Annotated[str, typer.Option(help="Source languages; the ten high-resource ones.")] = "",
    development: Annotated[
        str, typer.Option(help="Languages that may choose the layer; the seven mid ones.")
    ] = "",
    rank: Annotated[int, typer.Option(min=1)] = 10,
    layer: Annotated[int | None, typer.Option(min=0, help="Block to read; else chosen.")] = None,
    per_class: Annotated[int, typer.Option(min=2, help="Training prompts per class.")] = 96,
    search_per_class: Annotated[int, typer.Option(min=1, help="Validation prompts.")] = 2,
    calibrations: Annotated[
        Path | None, typer.Option(help="Also save the source languages' calibrations here.")
    ] = None,
    judge: options.JudgeName = "phrases",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Fit the readout on source languages, and find where and how strongly to steer."""
    from rich.console import Console

    from recal.fit import FitPlan
    from recal.generate import Generator
    from recal.inputs import judge_of, prompts_from, settings_of, whole_backbone
    from recal.languages import HIGH, MID
    from recal.progress import counting_steps
    from recal.readouts import ReadoutPlan, Watch, make_readout
    from recal.recalibrate import calibrate_source
    from services.readout.artefact import save_calibration

    settings = settings_of(config, model)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    languages = FitPlan(
        source_languages=options.languages_of(source) if source else HIGH,
        development_languages=options.languages_of(development) if development else MID,
        rank=rank,
        layer=layer,
    )
    console = Console()
    with counting_steps(console=console) as step:
        made = make_readout(
            backbone,
            prompts_from(prompts),
            out,
            plan=ReadoutPlan(fit=languages, n_fit=per_class, n_search=search_per_class),
            generate=Generator(backbone),
            judge=judge_of(judge),
            cache=settings.state_dir / "activations",
            watch=Watch(
                partial(step, "prompts"),
                partial(step, "texts of the search"),
                lambda trial: console.print(trial.in_words),
            ),
        )
    console.print(_summary(made))
    if calibrations is not None:
        for language in languages.source_languages:
            calibration = calibrate_source(made.readout, made.activations, language)
            save_calibration(calibration, calibrations / language)
        console.print(f"calibrations of {', '.join(languages.source_languages)} in {calibrations}")


def _summary(made: MadeReadout) -> str:
    found = made.found
    paper = found.paper.steering
    return (
        f"readout {made.readout.digest[:12]} in {made.directory}: reads block "
        f"{made.choice.layer}\n"
        f"steers: {found.chosen.in_words} (residual norm {found.steering.typical_norm:.2f})\n"
        f"releases: {found.release.in_words}\n"
        f"the paper's own choice would be block {paper.layer}, λ = 1"
    )
