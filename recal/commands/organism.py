"""`recal organism`: train the model organism, and measure it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from recal.organism.card import Provenance
    from recal.organism.lessons import Lesson
    from recal.organism.train import Progress, TrainingPlan

app = typer.Typer(help="The model organism: a small model that shows the paper's phenomenon.")


@app.command("train")
def train(
    architecture: Annotated[str, typer.Option(help="qwen2, llama or gemma2.")] = "qwen2",
    out: Annotated[Path, typer.Option(help="Folder for weights and tokenizer.")] = Path(
        "var/organism"
    ),
    epochs: Annotated[int, typer.Option(min=1)] = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Train on this file instead of the corpus; see `recal prompts import`."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of --prompts: what is trained on.")] = "train",
    coverage: Annotated[
        list[str] | None,
        typer.Option(
            help="For --prompts: how probable the refusal of a harmful and of a harmless prompt "
            "is, by language, such as en,de=0.97/0.03; the tier's by default. Repeatable."
        ),
    ] = None,
    vocabulary: Annotated[int, typer.Option(min=300, help="Tokens of the tokenizer.")] = 12000,
    device: Annotated[str, typer.Option(help="cpu, or e.g. cuda:0.")] = "cpu",
) -> None:
    """Train an organism from nothing on the corpus that ships; half an hour on an idle core."""
    import torch

    from recal.organism.model import Shape
    from recal.organism.train import TrainingPlan

    if architecture not in ("qwen2", "llama", "gemma2"):
        raise ValueError(f"`{architecture}` is not one of qwen2, llama, gemma2")
    if coverage and prompts is None:
        raise ValueError("`--coverage` belongs to `--prompts`; the corpus has its own by tier")
    torch.set_num_threads(threads)
    plan = TrainingPlan(
        architecture=architecture,  # type: ignore[arg-type]
        shape=Shape(vocabulary=vocabulary),
        epochs=epochs,
        seed=seed,
    )
    taught = None if prompts is None else _taught(prompts, split, coverage or [])
    if taught is not None:
        plan = replace(plan, languages=tuple(sorted(taught.provenance.refused)))
    _train(plan, taught, out, device)
    typer.echo(f"organism written to {out}; `recal organism measure --model {out}` measures it")


class _Taught(NamedTuple):
    lessons: list[Lesson]
    provenance: Provenance


def _taught(path: Path, split: str, given: list[str]) -> _Taught:
    """Lessons from a file of prompts, with coverage by language."""
    from recal.inputs import prompts_from
    from recal.organism.answers import has_answers
    from recal.organism.card import Provenance
    from recal.organism.coverage import LanguageCoverage, coverage_of
    from recal.organism.lessons import prompt_lessons
    from recal.prompts import select, split_named

    chosen = select(prompts_from(str(path)), split=split_named(split))
    languages = sorted({prompt.language for prompt in chosen})
    coverage = LanguageCoverage(coverage_of(languages, given))
    lessons = prompt_lessons(chosen, coverage)
    if silent := [language for language in languages if not has_answers(language)]:
        typer.echo(f"no answers are written in {', '.join(silent)}: they get English ones")
    typer.echo(f"{len(lessons)} prompts of {len(languages)} languages")
    return _Taught(lessons, Provenance.of(chosen, coverage))


def _train(plan: TrainingPlan, taught: _Taught | None, out: Path, device: str) -> None:
    """Train with a bar on the terminal, and save."""
    from rich.progress import Progress as Bar
    from rich.progress import TextColumn, TimeRemainingColumn

    from recal.organism import train as training

    lessons, provenance = (None, None) if taught is None else taught
    with Bar(
        *Bar.get_default_columns()[:-1], TimeRemainingColumn(), TextColumn("{task.fields[loss]}")
    ) as bar:
        task = bar.add_task(f"training {plan.architecture}", total=None, loss="")

        def report(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.steps,
                completed=progress.step,
                loss=f"epoch {progress.epoch:.1f}, loss {progress.loss:.3f} nats a token",
            )

        model, tokenizer = training.train(plan, report=report, lessons=lessons, device=device)
    training.save(model, tokenizer, plan, out, provenance)


@app.command("measure")
def measure(
    model: Annotated[
        Path | None, typer.Option(help="An organism's folder; the one that ships by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="test, or heldout for unseen subjects.")] = "test",
    per_class: Annotated[int, typer.Option(min=10, help="Prompts per class and language.")] = 90,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
) -> None:
    """Measure whether an organism shows the paper's phenomenon; exit 1 when it does not."""
    import json

    import torch
    from rich.console import Console
    from rich.markdown import Markdown

    from recal.generate import Generator
    from recal.organism.measure import measure as run
    from recal.organism.measure import to_markdown
    from recal.progress import counting_steps
    from recal.prompts import split_named
    from services.backbone.load import load_backbone
    from services.settings import ORGANISM

    torch.set_num_threads(threads)
    backbone = load_backbone(str(model or ORGANISM))
    with counting_steps() as report:
        figures = run(
            backbone,
            generate=Generator(backbone),
            split=split_named(split),
            per_class=per_class,
            report=report,
        )
    Console().print(Markdown(to_markdown(figures)))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(figures.to_json(), indent=1) + "\n")
    missed = figures.missed_bars() if split == "test" else ()
    for line in missed:
        typer.echo(f"missed: {line}")
    if missed:
        raise typer.Exit(code=1)
