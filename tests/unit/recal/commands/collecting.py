"""A tiny model and a file of prompts on disk, and commands run on them."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from recal.cli import app
from recal.prompts import Prompt, Split, save_jsonl


def write_prompts(
    path: Path,
    languages: tuple[str, ...] = ("en", "sw"),
    *,
    n: int = 4,
    splits: tuple[Split, ...] = ("train",),
) -> Path:
    """n prompts a class, language and split."""
    prompts = [
        Prompt(
            f"{split}{i}{harmful}", language, harmful, f"{language} {split} {harmful} {i}", split
        )
        for language in languages
        for split in splits
        for harmful in (True, False)
        for i in range(n)
    ]
    save_jsonl(prompts, path)
    return path


def recal(*arguments: object) -> Result:
    """Run a command; an error of it is in the result."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
