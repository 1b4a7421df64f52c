"""`recal promote | rollback`: which version decides for which traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options
from recal.commands.opened import opened

if TYPE_CHECKING:
    from recal.registry import AliasMove

What = Annotated[
    str, typer.Argument(help="`readout`, or the tag of a language, of the configured backbone.")
]


def promote(
    what: What,
    version: Annotated[int | None, typer.Option("--version", help="The newest by default.")] = None,
    force: Annotated[bool, typer.Option(help="Overrule objections; needs a reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why; recorded with the move.")] = "",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make a version the champion. Servers swap to it within their polling interval."""
    from recal.registry.target import Target

    if force and not reason.strip():
        raise ValueError("`--force` needs `--reason`, which is recorded with the promotion")
    here = opened(config, model)
    name = Target.parse(what).model(here.backbone)
    chosen = version if version is not None else here.registry.newest(name).version
    _tell(what, here.registry.promote(name, chosen, force_reason=reason if force else None))


def rollback(
    what: What,
    reason: Annotated[str, typer.Option(help="Why; recorded with the move.")] = "",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make the champion before the present one the champion again."""
    from recal.registry.target import Target

    here = opened(config, model)
    name = Target.parse(what).model(here.backbone)
    _tell(what, here.registry.rollback(name, reason=reason))


def _tell(what: str, move: AliasMove) -> None:
    before = f"{what}@{move.from_version}" if move.from_version else "nothing"
    typer.echo(f"`{move.model}`: {before} → {what}@{move.to_version} serves")
    for objection in move.overruled:
        typer.echo(f"overruled: {objection}")
    for note in move.notes:
        typer.echo(f"note: {note}")
