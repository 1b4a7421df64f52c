"""`recal collect`: prompts to cached residuals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recal.commands import options


def collect(
    prompts: options.Prompts = "corpus",
    split: Annotated[str, typer.Option(help="Which split.")] = "train",
    languages: Annotated[str, typer.Option(help="Comma-separated tags; all by default.")] = "",
    per_class: Annotated[
        int, typer.Option(min=0, help="Prompts per class and language; 0 takes all.")
    ] = 0,
    model: options.Model = None,
    config: options.Config = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the cache; in the state directory by default.")
    ] = None,
) -> None:
    """Read the residuals of labelled prompts at every block, and keep them by content."""
    import time

    from recal.collect import collect as run
    from recal.inputs import prompts_from, settings_of, whole_backbone
    from recal.progress import counting
    from recal.prompts import select, split_named, spread

    settings = settings_of(config, model)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    wanted = options.languages_of(languages) if languages else None
    chosen = select(prompts_from(prompts), split=split_named(split), languages=wanted)
    chosen = spread(chosen, per_class) if per_class else chosen
    identity = backbone.identity
    size = len(chosen) * identity.n_layers * identity.d_model * 4 / 1e6
    typer.echo(f"{len(chosen)} prompts, {identity.n_layers} blocks: {size:.0f} MB")
    folder = cache if cache is not None else settings.state_dir / "activations"
    started = time.monotonic()
    with counting("prompts") as report:
        run(backbone, chosen, cache=folder, report=report)
    typer.echo(f"in {folder} after {time.monotonic() - started:.1f} s")
