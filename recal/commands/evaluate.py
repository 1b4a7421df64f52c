"""`recal evaluate`: calibrations on held-out prompts, beside the untouched model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recal.commands import options


def evaluate(
    readout: options.ReadoutDirectory = Path("var/readout"),
    calibrations: options.CalibrationsDirectory = Path("var/calibrations"),
    prompts: options.Prompts = "corpus",
    split: Annotated[str, typer.Option(help="test, or heldout for unseen subjects.")] = "test",
    per_class: Annotated[int, typer.Option(min=1, help="Prompts per class and language.")] = 40,
    languages: Annotated[str, typer.Option(help="Comma-separated tags; all saved ones.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.md.")] = Path(
        "var/evaluation"
    ),
    judge: options.JudgeName = "phrases",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Measure refusal, selectivity, AUC and J per language, untouched and gated."""
    from rich.console import Console
    from rich.markdown import Markdown

    from recal.collect import collect
    from recal.evaluate import evaluate as run
    from recal.generate import Generator
    from recal.inputs import judge_of, prompts_from, settings_of, whole_backbone
    from recal.progress import counting
    from recal.prompts import select, split_named, spread
    from recal.report import to_markdown, write_json, write_markdown
    from services.readout.artefact import load_calibration, load_readout

    settings = settings_of(config, model)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    frozen = load_readout(readout, backbone=backbone.identity)
    found = sorted(p for p in calibrations.glob("*") if p.is_dir())
    saved = [load_calibration(path, backbone=backbone.identity) for path in found]
    loaded = {calibration.language: calibration for calibration in saved}
    wanted = options.languages_of(languages) if languages else tuple(loaded)
    missing = [la for la in wanted if la not in loaded]
    if missing or not wanted:
        raise ValueError(
            f"no calibration of {', '.join(missing) or 'any language'} in `{calibrations}`; "
            "run `recal recalibrate` first"
        )
    chosen = select(prompts_from(prompts), split=split_named(split), languages=wanted)
    with counting("prompts read") as report:
        activations = collect(
            backbone, spread(chosen, per_class), layers=frozen.layers, report=report
        )
    with counting("languages") as report:
        result = run(
            frozen,
            {la: loaded[la] for la in wanted},
            activations,
            generate=Generator(backbone),
            judge=judge_of(judge, device=settings.backbone.device),
            notice=settings.backbone.notice,
            report=lambda language, done, total: report(done, total),
        )
    write_json(result, out / "report.json")
    write_markdown(result, out / "report.md")
    console = Console()
    console.print(Markdown(to_markdown(result)))
    console.print(f"written to {out / 'report.json'} and {out / 'report.md'}")
