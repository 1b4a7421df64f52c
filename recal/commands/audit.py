"""`recal audit`: what was decided, when, under which versions; across all replicas."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from recal.commands import options

if TYPE_CHECKING:
    from recal.audit_query import Entry, Found, Wanted

_COLUMNS = ("language", "action", "reason", "calibration_version", "margin", "rpc", "request_id")


def audit(
    directory: Annotated[
        Path | None, typer.Option(help="Where the files lie; by default the settings' `audit`.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="2026-01-31T12:00:00Z, a date, or how long ago: 30m, 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The same; this moment is left out.")] = None,
    language: Annotated[
        str | None, typer.Option(help="BCP 47 tag; `unknown` where none was named.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="`steer`, `none`, `release` or `refuse`.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="e.g. `sw@7`, or `readout@3`.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The `x-request-id` of a call.")] = None,
    tail: Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="How many, by language, action, reason and version.")
    ] = False,
    config: options.Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show verdicts that were kept, in the order of time. No text and no score is kept.

    Without any option: those of the last hour.
    """
    from recal.audit_query import search

    narrowed = (since, until, language, action, version, request_id, tail)
    wanted = _wanted(
        "1h" if all(each is None for each in narrowed) else since,
        until,
        {"language": language, "action": action, "version": version, "request_id": request_id},
    )
    found = search(directory or _configured(config), wanted, tail=tail)
    if counts:
        _tell_counts(found, as_json)
    elif as_json:
        for entry in found.entries:
            typer.echo(json.dumps(entry, separators=(",", ":")))
    else:
        _tell(found.entries)
    _tell_of_unreadable(found)


def _wanted(since: str | None, until: str | None, others: dict[str, str | None]) -> Wanted:
    from recal.audit_query import Wanted, moment
    from services.domain import Action

    actions = [each.value for each in Action]
    if others["action"] not in (None, *actions):
        raise ValueError(f"`--action` is {others['action']!r}; give one of {', '.join(actions)}")
    now = datetime.now(UTC)
    times = {"since": since, "until": until}
    moments = {name: moment(text, now=now) for name, text in times.items() if text is not None}
    return Wanted(**moments, **others)


def _configured(config: Path | None) -> Path:
    from services.settings import load_settings

    return load_settings(config).audit_dir


def _tell(entries: list[Entry]) -> None:
    # Plain lines: a table of thousands of rows is laid out only when the last is known.
    for entry in entries:
        fields = "  ".join(str(entry[name]) for name in _COLUMNS if entry[name] is not None)
        bypassed = "  BYPASSED" if entry["bypassed"] else ""
        typer.echo(f"{entry['time']}  {fields}  {entry['seconds'] * 1000:.0f} ms{bypassed}")
    if not entries:
        typer.echo("no verdict", err=True)


def _tell_counts(found: Found, as_json: bool) -> None:
    from recal.audit_query import counts

    rows = counts(found.entries)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row._asdict(), separators=(",", ":")))
        return
    table = Table("language", "action", "reason", "version", "verdicts", box=box.SIMPLE)
    for row in rows:
        table.add_row(*row[:-1], f"{row.n:,}")
    Console().print(table)


def _tell_of_unreadable(found: Found) -> None:
    if found.n_unreadable:
        typer.echo(
            f"{found.n_unreadable} lines are no entries: cut short, as by a full disk", err=True
        )
