"""`recal register | list | show | diff`: artefacts in the registry, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recal.commands import options
from recal.commands.opened import Opened, opened, say_json

if TYPE_CHECKING:
    from recal.evaluation.behaviour import LanguageResult
    from recal.registry import RegisteredVersion, Standing
    from recal.registry.draft import Draft

_MADE_BY = ("estimator", "k", "own_readout", "disagreement")
"""Tags that `recal list WHAT` shows."""

Version = Annotated[
    str,
    typer.Argument(
        help="`sw`, `sw@7`, `sw@challenger`, `readout`; without a version the champion, else the "
        "newest."
    ),
]


def register(
    directory: Annotated[Path, typer.Argument(help="A saved readout or calibration.")],
    report: Annotated[
        Path | None, typer.Option(help="report.json of `recal evaluate`; promotion looks at it.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Sign it first with this private key of `recal keys new`.")
    ] = None,
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    config: options.Config = None,
) -> None:
    """Register a saved artefact as a new, immutable version. It does not serve yet."""
    here = opened(config, None)
    if key is not None:
        _sign(directory, key, dry_run=dry_run)
    draft = _draft(directory, report)
    if dry_run:
        _say_draft(here, draft, as_json=as_json)
        return
    version = here.registry.register(draft)
    if as_json:
        say_json({"dry_run": False, "registry": here.registry.shown_uri, **_record(version)})
        return
    typer.echo(f"{version.label} ({version.digest[:12]}) at {version.created}")


def list_models(
    what: Annotated[
        str, typer.Argument(help="A language or `readout`: all its versions. Else every model.")
    ] = "",
    as_json: options.AsJson = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """List the models of the backbone and who decides for each, or the versions of one."""
    here = opened(config, model)
    if what:
        _list_versions(here, what, as_json=as_json)
        return
    standings = here.registry.standings(here.backbone)
    if as_json:
        models = [_standing_record(each) for each in standings]
        say_json({"backbone": here.backbone, "registry": here.registry.shown_uri, "models": models})
        return
    if not standings:
        typer.echo(f"nothing of `{here.backbone}` is registered at {here.registry.shown_uri}")
    for each in standings:
        typer.echo(_standing_line(each))


def show(
    version: Version,
    as_json: options.AsJson = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Show everything about a version, downloaded and verified: what it holds, evaluation, run."""
    here = opened(config, model)
    described = _described(here, here.version(version))
    if as_json:
        say_json(described)
        return
    for section, content in described.items():
        _say_section(section, content)


def diff(
    first: Version,
    second: Version,
    as_json: options.AsJson = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Say in what two versions differ: thresholds, how they were made, evaluation, digests."""
    from recal.registry.description import differences

    here = opened(config, model)
    one, other = here.version(first), here.version(second)
    found = differences(_described(here, one), _described(here, other))
    if as_json:
        rows = [each._asdict() for each in found]
        say_json({"first": one.label, "second": other.label, "differences": rows})
        return
    typer.echo(f"{one.label} → {other.label}")
    for each in found:
        typer.echo(f"  {each.field}: {_shown(each.first)} → {_shown(each.second)}")
    if not found:
        typer.echo("  nothing differs")


def _sign(directory: Path, key: Path, *, dry_run: bool) -> None:
    from recal.artefact_set import load_artefact
    from services.readout import signature

    private = signature.read_private_key(key)
    digest = load_artefact(directory).digest
    if not dry_run:
        signature.sign(directory, digest, private)


def _draft(directory: Path, report: Path | None) -> Draft:
    from recal.registry.draft import draft_calibration, draft_readout
    from services.readout.artefact import load_calibration

    reports = [report] if report else []
    if (directory / "readout.json").is_file():
        return draft_readout(directory, reports)
    language = load_calibration(directory).language
    evaluation = _evaluation(report, language) if report else None
    return draft_calibration(directory, evaluation, reports)


def _say_draft(here: Opened, draft: Draft, *, as_json: bool) -> None:
    from services.readout.naming import DIGEST_TAG

    digest = draft.tags[DIGEST_TAG]
    if as_json:
        say_json(
            {
                "dry_run": True,
                "registry": here.registry.shown_uri,
                "model": draft.model,
                "digest": digest,
                "tags": dict(draft.tags),
                "reports": [str(report) for report in draft.reports],
            }
        )
        return
    typer.echo(
        f"would register `{draft.directory}` ({digest[:12]}) as a new version of `{draft.model}` "
        f"at {here.registry.shown_uri}; nothing was written"
    )


def _record(version: RegisteredVersion) -> dict[str, Any]:
    return {
        "label": version.label,
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "registered": version.created,
        "aliases": list(version.aliases),
        "revoked": version.revoked,
        "run": version.run_id,
        "tags": dict(version.tags),
    }


def _list_versions(here: Opened, what: str, *, as_json: bool) -> None:
    from recal.registry.target import Target

    name = Target.parse(what).model(here.backbone)
    versions = here.registry.list_versions(name)
    if as_json:
        say_json({"model": name, "versions": [_record(version) for version in versions]})
        return
    for version in versions:
        made = " ".join(f"{k}={version.tags[k]}" for k in _MADE_BY if k in version.tags)
        marks = " ".join(version.aliases) + (" revoked" if version.revoked is not None else "")
        line = f"{version.label:<14}{version.digest[:12]}  {version.created}  {made}  {marks}"
        typer.echo(line.rstrip())


def _standing_record(standing: Standing) -> dict[str, Any]:
    from recal.registry.registered import ALIASES

    return {
        "what": standing.what,
        "model": standing.model,
        "kind": standing.kind,
        **{alias: standing.label_of(alias) for alias in ALIASES},
        "canary_share": standing.canary_share,
    }


def _standing_line(standing: Standing) -> str:
    from services.readout.naming import CHALLENGER, SHADOW

    parts = [f"{standing.what:<10}"]
    champion = standing.champion
    parts.append("no champion" if champion is None else f"champion {standing.what}@{champion}")
    if standing.challenger is not None:
        share = standing.canary_share
        told = f"{100 * share:g} % of requests" if share is not None else "no share, so none"
        parts.append(f"challenger {standing.label_of(CHALLENGER)} ({told})")
    if standing.shadow is not None:
        parts.append(f"shadow {standing.label_of(SHADOW)}")
    return "  ".join(parts)


def _described(here: Opened, version: RegisteredVersion) -> dict[str, Any]:
    from recal.errors import UnknownVersion
    from recal.registry.description import describe

    artefact = here.registry.artefact(version)
    try:
        run = here.registry.run(version)
    except UnknownVersion:
        run = None  # deleted; the version says the rest
    return describe(version, artefact, run)


def _say_section(section: str, content: Any) -> None:
    if not content:
        typer.echo(f"{section}: none")
        return
    typer.echo(section)
    rows = content.items() if isinstance(content, dict) else [("", each) for each in content]
    for name, value in rows:
        typer.echo(f"  {name:<20} {_shown(value)}".rstrip() if name else f"  {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(each) for each in value) or "none"
    return str(value)


def _evaluation(report: Path, language: str) -> LanguageResult:
    from recal.evaluation.behaviour import Behaviour, LanguageResult

    try:
        rows = json.loads(report.read_text(encoding="utf-8"))["results"]
        for row in rows:
            if row["language"] == language:
                untouched, gated = Behaviour(**row.pop("untouched")), Behaviour(**row.pop("gated"))
                return LanguageResult(**row, untouched=untouched, gated=gated)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`{report}` is no report of this build's `recal evaluate` ({type(error).__name__}); "
            "evaluate again"
        ) from None
    raise ValueError(
        f"`{report}` holds no evaluation of a saved calibration of `{language}`; run "
        "`recal evaluate` with the method `saved` first"
    )
