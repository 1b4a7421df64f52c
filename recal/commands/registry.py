"""`recal register | promote | rollback | versions`: artefacts in the registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from recal.evaluation.behaviour import LanguageResult
    from recal.registry import Promotion, Registry

_MADE_BY = ("estimator", "k", "own_readout", "disagreement")
"""Tags that `recal versions` shows."""

What = Annotated[
    str, typer.Argument(help="`readout`, or the tag of a language, of the configured backbone.")
]


def register(
    directory: Annotated[Path, typer.Argument(help="A saved readout or calibration.")],
    report: Annotated[
        Path | None, typer.Option(help="report.json of `recal evaluate`; promotion looks at it.")
    ] = None,
    config: options.Config = None,
) -> None:
    """Register a saved artefact as a new, immutable version. It does not serve yet."""
    registry, _ = _open(config, None)
    if (directory / "readout.json").is_file():
        version = registry.register_readout(directory, reports=[report] if report else [])
    else:
        from services.readout.artefact import load_calibration

        language = load_calibration(directory).language
        version = registry.register_calibration(
            directory,
            evaluation=_evaluation(report, language) if report else None,
            reports=[report] if report else [],
        )
    typer.echo(f"{version.label} ({version.digest[:12]}) at {version.created}")


def promote(
    what: What,
    version: Annotated[int | None, typer.Option("--version", help="The newest by default.")] = None,
    force: Annotated[bool, typer.Option(help="Overrule objections; needs a reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why; recorded with the move.")] = "",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make a version the champion. Servers swap to it within their polling interval."""
    if force and not reason.strip():
        raise ValueError("`--force` needs `--reason`, which is recorded with the promotion")
    registry, backbone = _open(config, model)
    name = _model_name(what, backbone)
    chosen = version if version is not None else registry.list_versions(name)[0].version
    _tell(what, registry.promote(name, chosen, force_reason=reason if force else None))


def rollback(
    what: What,
    reason: Annotated[str, typer.Option(help="Why; recorded with the move.")] = "",
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Make the champion before the present one the champion again."""
    registry, backbone = _open(config, model)
    _tell(what, registry.rollback(_model_name(what, backbone), reason=reason))


def versions(what: What, model: options.Model = None, config: options.Config = None) -> None:
    """List the versions of a readout or a language, newest first."""
    registry, backbone = _open(config, model)
    for version in registry.list_versions(_model_name(what, backbone)):
        mark = "champion" if version.is_champion else ""
        made = " ".join(f"{k}={version.tags[k]}" for k in _MADE_BY if k in version.tags)
        typer.echo(f"{version.label:<14}{version.digest[:12]}  {version.created}  {made}  {mark}")


def _open(config: Path | None, model: str | None) -> tuple[Registry, str]:
    """The registry that the settings name, and the name of the configured backbone."""
    from services.readout.mlflow_environment import quieten_mlflow

    quieten_mlflow()  # before MLflow is imported
    from recal.inputs import settings_of
    from recal.registry import open_registry

    settings = settings_of(config, model)
    environ = {"MLFLOW_TRACKING_URI": settings.registry.tracking_uri}
    path = Path(settings.backbone.name_or_path).expanduser()
    name = path.resolve().name if path.is_dir() else settings.backbone.name_or_path
    return open_registry(settings.state_dir, environ), name


def _model_name(what: str, backbone: str) -> str:
    from services.readout.naming import READOUT, calibration_model, readout_model

    return readout_model(backbone) if what == READOUT else calibration_model(backbone, what)


def _evaluation(report: Path, language: str) -> LanguageResult:
    from recal.evaluation.behaviour import Behaviour, LanguageResult

    rows = json.loads(report.read_text(encoding="utf-8"))["results"]
    for row in rows:
        if row["language"] == language:
            untouched, gated = Behaviour(**row.pop("untouched")), Behaviour(**row.pop("gated"))
            return LanguageResult(**row, untouched=untouched, gated=gated)
    raise ValueError(
        f"`{report}` holds no evaluation of a saved calibration of `{language}`; run "
        "`recal evaluate` with the method `saved` first"
    )


def _tell(what: str, promotion: Promotion) -> None:
    before = f"{what}@{promotion.from_version}" if promotion.from_version else "nothing"
    typer.echo(f"`{promotion.model}`: {before} → {what}@{promotion.to_version} serves")
    for objection in promotion.overruled:
        typer.echo(f"overruled: {objection}")
    for note in promotion.notes:
        typer.echo(f"note: {note}")
