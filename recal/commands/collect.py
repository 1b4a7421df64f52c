"""`recal collect`: prompts to cached residuals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from recal.collect import Estimate
    from recal.prompts import Prompt


def collect(
    prompts: options.Prompts = "corpus",
    split: Annotated[str, typer.Option(help="Which split.")] = "train",
    languages: Annotated[str, typer.Option(help="Comma-separated tags; all by default.")] = "",
    per_class: Annotated[
        int, typer.Option(min=0, help="Prompts per class and language; 0 takes all.")
    ] = 0,
    half: Annotated[
        bool,
        typer.Option(
            help="Keep bfloat16 although the backbone computes in float32: half the size, and "
            "scores that differ a little from serving's."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Run and keep one batch, say what the rest would take, and stop.")
    ] = False,
    model: options.Model = None,
    config: options.Config = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the cache; in the state directory by default.")
    ] = None,
) -> None:
    """Read the residuals of labelled prompts at every block, and keep them by content.

    A run that is killed loses the batch in flight; the same command goes on where it ended.
    """
    import time

    import torch

    from recal.collect import collect as run
    from recal.inputs import settings_of, whole_backbone
    from recal.progress import counting

    settings = settings_of(config, model)
    chosen = _chosen(prompts, split, languages, per_class)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    identity = backbone.identity
    folder = cache if cache is not None else settings.state_dir / "activations"

    def say(estimate: Estimate) -> None:
        typer.echo(f"{identity.n_layers} blocks, 3 readings; {_sentence(estimate)}")
        if dry_run:
            raise typer.Exit

    started = time.monotonic()
    with counting("prompts") as report:
        run(
            backbone,
            chosen,
            cache=folder,
            dtype=torch.bfloat16 if half else None,
            estimated=say,
            report=report,
        )
    typer.echo(f"in {folder} after {time.monotonic() - started:.1f} s")


def _chosen(source: str, split: str, languages: str, per_class: int) -> list[Prompt]:
    from recal.collect import refuse_missing_class
    from recal.inputs import prompts_from
    from recal.prompts import select, split_named, spread

    wanted = options.languages_of(languages) if languages else None
    found = select(prompts_from(source), split=split_named(split), languages=wanted)
    refuse_missing_class(found, wanted or sorted({p.language for p in found}), split)
    return spread(found, per_class) if per_class else found


def _sentence(estimate: Estimate) -> str:
    missing = estimate.n_prompts - estimate.n_cached
    if not missing:
        return f"all {estimate.n_prompts} prompts are in the cache"
    return (
        f"{missing} of {estimate.n_prompts} prompts to read: {estimate.n_bytes / 1e6:.1f} MB, "
        f"about {estimate.seconds:.0f} s"
    )
