"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; RECAL_CONFIG by default.")
]
Model = Annotated[
    str | None, typer.Option("--model", help="Hub id or local path; the organism by default.")
]
Prompts = Annotated[
    str,
    typer.Option(
        "--prompts",
        help="JSON lines with id, language, harmful, split, text; `corpus`: the organism's own.",
    ),
]
JudgeName = Annotated[
    str,
    typer.Option(
        "--judge",
        help="`phrases`, `organism` (the shipped model's), `classifier:PATH`, `llm:PATH` or "
        "`endpoint:URL#MODEL` (key: RECAL_JUDGE_API_KEY).",
    ),
]
ReadoutDirectory = Annotated[Path, typer.Option("--readout", help="A saved readout.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Pages = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        help="Metrics page of a process, in place of Prometheus; may be given several times. By "
        "default the edge's on this machine.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
]
CalibrationsDirectory = Annotated[
    Path, typer.Option("--calibrations", help="Folder with one saved calibration per language.")
]


def names_of(text: str) -> tuple[str, ...]:
    """Comma-separated names.

    Raises:
        ValueError: there are none.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise ValueError(f"`{text}` names nothing; give names separated by commas")
    return names


def numbers_of(text: str) -> tuple[int, ...]:
    """Comma-separated whole numbers.

    Raises:
        ValueError: one is none, or there are none.
    """
    try:
        return tuple(int(name) for name in names_of(text))
    except ValueError:
        raise ValueError(f"`{text}` is no list of whole numbers; give for example 1,2,4") from None


def languages_of(text: str) -> tuple[str, ...]:
    """Comma-separated tags.

    Raises:
        ValueError: there are none, or one is no tag.
    """
    from recal.languages import refuse_unknown_tag

    languages = tuple(part.strip() for part in text.split(",") if part.strip())
    if not languages:
        raise ValueError(f"`{text}` names no language; give tags separated by commas, e.g. sw,yo")
    for language in languages:
        refuse_unknown_tag(language)
    return languages
