"""`recal answer-threshold`: above what score the response-side monitor withdraws an answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from recal.answer_threshold import AnswerThreshold
    from services.readout.bundle import Readout


def answer_threshold(
    readout: options.ReadoutDirectory = Path("var/readout"),
    prompts: options.Prompts = "corpus",
    split: Annotated[
        str, typer.Option(help="Of prompts that the readout was not fitted on.")
    ] = "validation",
    false_stops: Annotated[
        float, typer.Option(help="Share of harmless answers that may be withdrawn.")
    ] = 0.01,
    every: Annotated[int, typer.Option(min=1, help="Tokens between two looks.")] = 16,
    max_tokens: Annotated[int, typer.Option(min=2, help="Of each answer.")] = 64,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Find the threshold of the response-side monitor, and print the settings that hold it.

    Lets the model answer the harmless prompts of the readout's source languages, and looks at the
    answers as the monitor would. Nothing is changed: the monitor is on when the settings say so.
    """
    from recal.answer_threshold import AnswerPlan, find_answer_threshold
    from recal.inputs import prompts_from, settings_of, whole_backbone
    from recal.progress import counting
    from recal.prompts import select, split_named
    from services.readout.artefact import load_readout

    plan = AnswerPlan(false_stops, every, max_tokens)
    settings = settings_of(config, model)
    asked = select(prompts_from(prompts), split=split_named(split))
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    loaded = load_readout(readout, backbone=backbone.identity)
    with counting("answers") as report:
        found = find_answer_threshold(backbone, loaded, asked, plan, report=report)
    typer.echo(_in_words(found, split))
    typer.echo(_settings(found, loaded))


def _in_words(found: AnswerThreshold, split: str) -> str:
    worst = max(found.above, key=lambda language: found.above[language])
    return (
        f"{found.threshold:.4f}: a harmless answer exceeds it with probability at most "
        f"{found.plan.false_stops:g}, by {found.n_answers} answers to harmless `{split}` prompts "
        f"in {', '.join(found.above)}, of up to {found.plan.max_tokens} tokens; of these, "
        f"{found.above[worst]:.1%} of `{worst}` lie above it, the most of any language. It says "
        "nothing of other languages, nor of how many harmful answers it finds."
    )


def _settings(found: AnswerThreshold, readout: Readout) -> str:
    return (
        "generation:\n  monitor:\n    thresholds:\n"
        f'      "{readout.digest[:12]}": {found.threshold:.6g}\n    every: {found.plan.every}'
    )
