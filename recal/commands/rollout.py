"""`recal promote | canary | shadow | rollback | revoke`: who decides for which traffic."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from recal import exits
from recal.commands import options
from recal.commands.opened import Opened, opened, say_json

if TYPE_CHECKING:
    from recal.promotion import PromotionRules
    from recal.registry import AliasMove
    from services.readout.bundle import Calibration, Readout

What = Annotated[
    str, typer.Argument(help="A language or `readout`, with a version or without: `sw`, `sw@7`.")
]
Language = Annotated[str, typer.Argument(help="A language, with a version or without: `sw@7`.")]
Version = Annotated[int | None, typer.Option("--version", help="As in `sw@7`.")]
Force = Annotated[bool, typer.Option("--force", help="Overrule objections; needs a reason.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded with the move.")]
Off = Annotated[bool, typer.Option("--off", help="End it.")]


def promote(
    what: What,
    version: Version = None,
    force: Force = False,
    reason: Reason = "",
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make a version the champion. Servers swap to it within their polling interval.

    Without a version the challenger, else the newest. Refused without an evaluation that meets the
    criteria; the message names those that it fails.
    """
    from services.readout.naming import CHALLENGER

    here = opened(config, model)
    name, chosen = _chosen(here, what, version, otherwise=CHALLENGER)
    act = partial(
        here.registry.promote,
        name,
        chosen,
        force_reason=_forced(force, reason),
        rules=rules_of(here),
    )
    _do(here, "promote", act, as_json=as_json, dry_run=dry_run)


def canary(
    what: Language,
    share: Annotated[
        float | None, typer.Option("--share", help="Of the language's requests, e.g. 0.1.")
    ] = None,
    version: Version = None,
    off: Off = False,
    force: Force = False,
    reason: Reason = "",
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Let a version decide for a share of a language's requests, beside the champion.

    Without a version the shadow, else the newest. As `promote`, but it may be worse than the
    champion by whatever margin.
    """
    from services.readout.naming import SHADOW

    if off == (share is not None) or (off and version is not None):
        raise ValueError("give `--share 0.1` to begin or change a canary, or `--off` to end it")
    here = opened(config, model)
    if share is None:
        act: Act = partial(here.registry.end_canary, _model_of(here, what), reason=reason)
    else:
        act = partial(
            here.registry.canary,
            *_chosen(here, what, version, otherwise=SHADOW),
            share,
            force_reason=_forced(force, reason),
            rules=rules_of(here),
        )
    _do(here, "canary", act, as_json=as_json, dry_run=dry_run)


def shadow(
    what: Language,
    version: Version = None,
    off: Off = False,
    reason: Reason = "",
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Score a version beside the champion and count where they differ; it never acts.

    Without a version the newest.
    """
    here = opened(config, model)
    if off:
        if version is not None:
            raise ValueError("`--off` ends whatever shadow there is; leave `--version` out")
        act: Act = partial(here.registry.end_shadow, _model_of(here, what), reason=reason)
    else:
        chosen = _chosen(here, what, version, otherwise="")
        act = partial(here.registry.shadow, *chosen, reason=reason)
    _do(here, "shadow", act, as_json=as_json, dry_run=dry_run)


def rollback(
    what: What,
    reason: Reason = "",
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make the champion before the present one the champion again; revoked ones are left out."""
    here = opened(config, model)
    act = partial(here.registry.rollback, _model_of(here, what), reason=reason)
    _do(here, "rollback", act, as_json=as_json, dry_run=dry_run)


def revoke(
    version: Annotated[str, typer.Argument(help="A version by its number: `sw@7`, `readout@2`.")],
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="Though it carries an alias.")] = False,
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Say that a version must never decide again; there is no way back.

    A champion is best replaced first; by force its language is left without a calibration.
    """
    from recal.registry.target import Target
    from recal.registry.words import revoked_in_words

    target = Target.parse(version)
    if not target.at.isdigit():
        raise ValueError(f"`{version}` names no version by its number; write `{target.what}@7`")
    here = opened(config, model)
    name = target.model(here.backbone)
    revoked = here.registry.revoke(name, int(target.at), reason, force=force, dry_run=dry_run)
    summary = revoked_in_words(revoked)
    if as_json:
        record = {"version": revoked.label, "digest": revoked.digest, "reason": revoked.revoked}
        head = {"command": "revoke", "dry_run": dry_run, "model": name}
        say_json({**head, **record, "summary": list(summary)})
        return
    _say(summary, dry_run=dry_run)


def _model_of(here: Opened, what: str) -> str:
    from recal.registry.target import Target

    target = Target.parse(what)
    if target.at:
        raise ValueError(f"`{what}` names a version, and none can be chosen here; write the rest")
    return target.model(here.backbone)


def _chosen(here: Opened, what: str, version: int | None, *, otherwise: str) -> tuple[str, int]:
    """The model, and the version that is named, else that with the alias, else the newest."""
    from recal.registry.target import Target

    target = Target.parse(what)
    name = target.model(here.backbone)
    if version is not None and target.at:
        raise ValueError(f"`{what}` names a version, and so does `--version {version}`; give one")
    if version is not None:
        return name, version
    if target.at:
        return name, target.version(here.registry, here.backbone).version
    carried = here.registry.standing(name).aliases.get(otherwise)
    return name, here.registry.newest(name).version if carried is None else carried


def _forced(force: bool, reason: str) -> str | None:
    if force and not reason.strip():
        raise ValueError("`--force` needs `--reason`, which is recorded with the move")
    return reason if force else None


def rules_of(here: Opened) -> PromotionRules:
    """What the settings ask of a calibration that is to decide."""
    from recal.promotion import PromotionRules

    return PromotionRules(**here.settings.promotion.model_dump())


class Act(Protocol):
    """A move of an alias that waits to be made."""

    def __call__(self, *, dry_run: bool) -> AliasMove:
        """Plan it, or make it."""


def _do(here: Opened, command: str, act: Act, *, as_json: bool, dry_run: bool) -> None:
    """Look first: what cannot be loaded is not moved to. Then move, and say what that means."""
    move = act(dry_run=True)
    summary = _summary(here, move) if dry_run or not move.objections else []
    if not dry_run:
        move = act(dry_run=False)
    if as_json:
        say_json({"command": command, "dry_run": dry_run, **_record(move), "summary": summary})
    else:
        _say(summary, dry_run=dry_run)
        for label, lines in (
            ("would be refused", move.objections),
            ("overruled", move.overruled),
            ("note", move.notes),
        ):
            for line in lines:
                typer.echo(f"{label}: {line}")
    if move.objections:
        raise typer.Exit(exits.FAILED_CHECK)


def _say(summary: tuple[str, ...] | list[str], *, dry_run: bool) -> None:
    for line in summary:
        typer.echo(line)
    if dry_run:
        typer.echo("dry run: nothing was written")


def _summary(here: Opened, move: AliasMove) -> list[str]:
    """The move in words, with what both versions hold."""
    from recal.registry.words import in_words
    from services.errors import ArtefactRefused
    from services.readout.naming import CHAMPION

    def held(version: int) -> Calibration | Readout:
        return here.registry.artefact(here.registry.version(move.model, version))

    if move.to_version is None:
        return list(in_words(move, None, None))
    after, before = held(move.to_version), None
    # Whatever moves, it is the champion whose decisions the others' differ from.
    champion = move.before.aliases.get(CHAMPION)
    if champion is not None:
        with suppress(ArtefactRefused):  # a spoilt champion must not keep a sound one from serving
            before = held(champion)
    return list(in_words(move, before, after))


def _record(move: AliasMove) -> dict[str, Any]:
    from services.readout.naming import version_label

    def label(version: int | None) -> str | None:
        return None if version is None else version_label(move.model, version)

    return {
        "model": move.model,
        "what": move.before.what,
        "alias": move.alias,
        "from": label(move.from_version),
        "to": label(move.to_version),
        "canary_share": move.canary_share,
        "ends": list(move.ends),
        "refused": bool(move.objections),
        "objections": [each._asdict() for each in move.objections],
        "overruled": [each._asdict() for each in move.overruled],
        "notes": list(move.notes),
    }
