"""`recal prompts`: published prompt files to the project's own form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from recal.datasets.assemble import Assembled
    from recal.datasets.layouts import Published
    from recal.prompts import Split

app = typer.Typer(help="Prompt sets: published files to labelled prompts with splits.")


@app.callback()
def prompts() -> None:
    """Prompt sets: published files to labelled prompts with splits."""


@app.command("import")
def import_prompts(
    sources: Annotated[
        list[str],
        typer.Argument(help="Files by URL or path; gzip is unpacked.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="JSON lines that every `--prompts` takes.")],
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="Of each file, in the order of the files; a URL needs one."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="recal, rows, polyrefuse, multijail, xstest, sealsbench, lines; auto tells by "
            "the first line."
        ),
    ] = "auto",
    language: Annotated[
        str | None, typer.Option(help="Of files that do not say it (layouts polyrefuse, lines).")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="harmful or harmless, of files that do not say it (lines).")
    ] = None,
    splits: Annotated[
        str, typer.Option(help="grouped: by a hash of the group; published: as the file says.")
    ] = "grouped",
    shares: Annotated[
        str, typer.Option(help="Of the groups, such as train=0.5,calibration=0.2,test=0.3.")
    ] = "",
    near: Annotated[
        float, typer.Option(help="Share of common pieces from which texts are duplicates.")
    ] = 0.7,
    seed: Annotated[int, typer.Option(help="Of the hash that splits.")] = 0,
) -> None:
    """Fetch, check, de-duplicate and split published prompts; translations share a split."""
    from rich.console import Console

    from recal.datasets.assemble import AssemblyPlan, assemble
    from recal.datasets.grouping import SHARES
    from recal.progress import counting
    from recal.prompts import refuse_overlap, save_jsonl

    plan = AssemblyPlan(
        splitting=splits,  # type: ignore[arg-type]
        shares=_shares(shares) if shares else SHARES,
        near=near,
        seed=seed,
    )
    published = _read(sources, sha256 or [], layout, language, label)
    with counting("looking for duplicates") as report:
        assembled = assemble(published, plan, report=report)
    refuse_overlap(assembled.prompts)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_jsonl(assembled.prompts, out)
    console = Console()
    console.print(_table(assembled))
    console.print(_summary(assembled, len(published), out))


def _read(
    sources: list[str], digests: list[str], layout: str, language: str | None, label: str | None
) -> list[Published]:
    from recal.datasets.fetch import fetch_file, file_name
    from recal.datasets.layouts import File, read_file

    if label not in (None, "harmful", "harmless"):
        raise ValueError(f"`{label}` is no label; give `harmful` or `harmless`")
    if digests and len(digests) != len(sources):
        raise ValueError(
            f"{len(sources)} file(s) and {len(digests)} sha256; give one for each, in their order"
        )
    published = []
    given: Sequence[str | None] = digests or [None] * len(sources)
    for source, digest in zip(sources, given, strict=True):
        file = File(
            name=file_name(source),
            content=fetch_file(source, sha256=digest),
            language=language,
            harmful=None if label is None else label == "harmful",
        )
        published += read_file(file, layout)
    return published


def _shares(text: str) -> dict[Split, float]:
    from recal.prompts import split_named

    found = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            found[split_named(name.strip())] = float(share)
        except ValueError as error:
            raise ValueError(f"`{part}` is no share of a split: {error}") from None
    return found


def _table(assembled: Assembled) -> Table:
    from rich.table import Table

    from recal.prompts import Split

    counts = assembled.counts()
    splits = [split for split in get_args(Split) if any(split == s for _, _, s in counts)]
    table = Table(title="harmful / harmless prompts")
    table.add_column("language")
    for split in splits:
        table.add_column(split, justify="right")
    for language in sorted({language for language, _, _ in counts}):
        row = [(counts[language, True, s], counts[language, False, s]) for s in splits]
        table.add_row(language, *(f"{harmful} / {harmless}" for harmful, harmless in row))
    return table


def _summary(assembled: Assembled, n_published: int, out: Path) -> str:
    return (
        f"{len(assembled.prompts)} of {n_published} prompts in {assembled.groups} groups, "
        f"written to {out}; dropped as duplicates: {assembled.exact} exact, {assembled.near} near, "
        f"{assembled.contradictory} with both labels"
    )
