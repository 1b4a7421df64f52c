"""`recal migrate`: saved artefacts of an earlier schema version in the present one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recal.migrate import Migration

_SHOWN = 12


def migrate(
    directory: Annotated[
        Path,
        typer.Argument(help="A folder with a readout and its calibrations, or one artefact."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the whole set is written; by default in its own place."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Write artefacts of an earlier schema version anew in the present one.

    They get other digests, and calibrations the new digest of their readout; what they decide
    stays. Signatures do not: sign and register the set again.
    """
    from recal import migrate as migrating

    migration = migrating.plan(directory)
    if not dry_run:
        migrating.migrate(migration, out)
    if as_json:
        typer.echo(json.dumps(_record(migration, out, dry_run)))
    else:
        _tell(migration, out, dry_run)


def _record(migration: Migration, out: Path | None, dry_run: bool) -> dict[str, object]:
    steps = [
        {
            "path": str(step.path),
            "from_schema": step.from_schema,
            "to_schema": step.to_schema,
            "from_digest": step.from_digest,
            "to_digest": step.to_digest,
        }
        for step in migration.steps
    ]
    kept = [str(path) for path in migration.kept]
    where = str(out if out is not None else migration.directory)
    return {"migrated": steps, "kept": kept, "out": where, "dry_run": dry_run}


def _tell(migration: Migration, out: Path | None, dry_run: bool) -> None:
    for step in migration.steps:
        typer.echo(
            f"{step.path}: schema {step.from_schema} → {step.to_schema}, "
            f"{step.from_digest[:_SHOWN]}… → {step.to_digest[:_SHOWN]}…"
        )
    for path in migration.kept:
        typer.echo(f"{path}: stays as it is")
    if not migration.steps:
        typer.echo("everything is of the present schema")
    elif dry_run:
        typer.echo("nothing was written; leave out `--dry-run`")
    else:
        where = "in its own place" if out is None else f"to `{out}`"
        typer.echo(f"written {where}; register it anew, and promote its readout last")
