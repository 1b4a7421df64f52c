"""`recal recalibrate`: a few examples of a language to its calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recal.commands import options


def recalibrate(
    language: Annotated[str, typer.Option("--language", help="BCP 47 tag, e.g. sw.")],
    readout: options.ReadoutDirectory = Path("var/readout"),
    examples: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON lines; without it, the corpus's calibration split."),
    ] = None,
    k: Annotated[int, typer.Option(min=1, help="Examples per class from the corpus.")] = 4,
    held_out: Annotated[
        Path | None, typer.Option(help="JSON lines for the stored metrics; never the examples.")
    ] = None,
    estimator: Annotated[str, typer.Option(help="midpoint or paper_f1.")] = "midpoint",
    routing: Annotated[str, typer.Option(help="three_zone or two_way.")] = "three_zone",
    c: Annotated[float, typer.Option(help="Width of the untouched zone.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Default: var/calibrations/LANGUAGE.")] = None,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Set one language's thresholds from 1 to 4 examples per class (more are fine too)."""
    from rich.console import Console

    from recal.collect import collect
    from recal.inputs import CORPUS, prompts_from, settings_of, whole_backbone
    from recal.prompts import load_examples, load_jsonl, select, spread
    from recal.recalibrate import RecalibrationPlan
    from recal.recalibrate import recalibrate as run
    from services.readout.artefact import load_readout, save_calibration

    settings = settings_of(config, model)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    frozen = load_readout(readout, backbone=backbone.identity)
    if examples is not None:
        chosen = load_examples(examples, language)
    else:
        mine = select(prompts_from(CORPUS, (language,)), split="calibration")
        chosen = spread(mine, k)
    layers = frozen.layers
    unseen = [] if held_out is None else load_jsonl(held_out, split="test")
    unseen = [p for p in unseen if p.language == language]
    made = run(
        frozen,
        collect(backbone, chosen, layers=layers),
        language,
        plan=RecalibrationPlan(estimator=estimator, routing=routing, c=c),
        held_out=collect(backbone, unseen, layers=layers) if unseen else None,
    )
    folder = out if out is not None else settings.state_dir / "calibrations" / language
    saved = save_calibration(made.calibration, folder)
    console = Console()
    for warning in made.warnings:
        console.print(f"warning: {warning}", style="yellow")
    console.print(
        f"{language}: threshold {saved.threshold:+.2f} ± {saved.posterior_sd:.2f} from k = "
        f"{saved.k} ({saved.estimator}; the source languages' is "
        f"{frozen.source_threshold:+.2f}); {saved.digest[:12]} in {folder}"
    )
