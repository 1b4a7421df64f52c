"""`recal organism`: train the model organism, and measure it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recal.organism.train import Progress

app = typer.Typer(help="The model organism: a small model that shows the paper's phenomenon.")

SHIPPED = Path(__file__).resolve().parents[1] / "organism" / "weights" / "organism-qwen2"


@app.command("train")
def train(
    architecture: Annotated[str, typer.Option(help="qwen2, llama or gemma2.")] = "qwen2",
    out: Annotated[Path, typer.Option(help="Folder for weights and tokenizer.")] = Path(
        "var/organism"
    ),
    epochs: Annotated[int, typer.Option(min=1)] = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
) -> None:
    """Train an organism from nothing on the corpus that ships; half an hour on an idle core."""
    import torch
    from rich.progress import Progress as Bar
    from rich.progress import TextColumn, TimeRemainingColumn

    from recal.organism import train as training

    if architecture not in ("qwen2", "llama", "gemma2"):
        raise ValueError(f"`{architecture}` is not one of qwen2, llama, gemma2")
    torch.set_num_threads(threads)
    plan = training.TrainingPlan(architecture=architecture, epochs=epochs, seed=seed)  # type: ignore[arg-type]
    with Bar(
        *Bar.get_default_columns()[:-1], TimeRemainingColumn(), TextColumn("{task.fields[loss]}")
    ) as bar:
        task = bar.add_task(f"training {architecture}", total=None, loss="")

        def report(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.steps,
                completed=progress.step,
                loss=f"epoch {progress.epoch:.1f}, loss {progress.loss:.3f} nats a token",
            )

        model, tokenizer = training.train(plan, report=report)
    training.save(model, tokenizer, plan, out)
    typer.echo(f"organism written to {out}; `recal organism measure --model {out}` measures it")


@app.command("measure")
def measure(
    model: Annotated[Path, typer.Option(help="An organism's folder.")] = SHIPPED,
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

    torch.set_num_threads(threads)
    backbone = load_backbone(str(model))
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
