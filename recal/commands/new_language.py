"""`recal new-language`: from a handful of examples to a shadow, in one command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recal.commands import options
from recal.commands.opened import Opened, opened, say_json

if TYPE_CHECKING:
    from rich.console import Console

    from recal.evaluation.judging import Judging
    from recal.new_language import Arrived
    from services.settings import Settings


def new_language(
    language: Annotated[str, typer.Argument(help="BCP 47 tag, e.g. sw.")],
    examples: Annotated[
        Path, typer.Option(help="Harmful and harmless prompts of it; YAML or JSON lines.")
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(help="Other prompts, JSON lines, to be evaluated on. None: nothing is."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for its files; var/new-language/LANGUAGE.")
    ] = None,
    judge: options.JudgeName = "phrases",
    key: Annotated[
        Path | None, typer.Option(help="Private key of `recal keys new`, to sign it.")
    ] = None,
    as_json: options.AsJson = False,
    dry_run: options.DryRun = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Recalibrate, evaluate, register, and shadow a language beside what serves, which it leaves.

    With `--dry-run` all is computed, and nothing registered.
    """
    from rich.console import Console

    from recal.commands.rollout import rules_of
    from recal.new_language import Wanted, bring
    from recal.progress import counting_steps

    here = opened(config, model)
    _refuse_unseen(here.settings, key)
    folder = out if out is not None else here.settings.state_dir / "new-language" / language
    wanted = Wanted(language, examples, held_out, folder, _judging(judge, here.settings), key)
    with counting_steps(console=Console(stderr=True)) as told:
        arrived = bring(
            wanted,
            here.settings,
            here.registry,
            backbone_name=here.backbone,
            rules=rules_of(here),
            told=told,
            dry_run=dry_run,
        )
    if as_json:
        say_json(_record(here, language, arrived, folder, dry_run=dry_run))
        return
    _tell(here, language, arrived, folder, Console(soft_wrap=True))


def _refuse_unseen(settings: Settings, key: Path | None) -> None:
    """Before a model is loaded: what no server would ever load."""
    from services.composition import trust_in

    if settings.registry.source != "mlflow":
        raise ValueError(
            "servers with these settings read the directory "
            f"`{settings.registry.directory}` and no registry; use `registry.source: mlflow`"
        )
    if key is None and trust_in(settings).required:
        raise ValueError(
            "these settings have servers take only what a trusted key signed; give `--key`"
        )


def _judging(name: str, settings: Settings) -> Judging:
    from recal.evaluation.judging import Judging
    from recal.inputs import judge_of
    from recal.judge import OrganismJudge
    from recal.maths.decomposition import PERFECT

    judge = judge_of(name, device=settings.backbone.device)
    # every proper answer of the organism is known to its judge
    return Judging(judge, PERFECT if isinstance(judge, OrganismJudge) else None)


def _steps(language: str, arrived: Arrived) -> list[str]:
    """What to do next, as commands."""
    if arrived.version is None:
        return []
    label = arrived.version.label
    if arrived.objections:
        return [f"recal show {label}", f"recal shadow {language} --off"]
    has_champion = arrived.shadow is not None and arrived.shadow.before.champion is not None
    canary = [f"recal canary {label} --share 0.1"] if has_champion else []
    return [*canary, f"recal promote {label}"]


def _record(
    here: Opened, language: str, arrived: Arrived, folder: Path, *, dry_run: bool
) -> dict[str, Any]:
    made, version = arrived.made.calibration, arrived.version
    return {
        "command": "new-language",
        "dry_run": dry_run,
        "language": language,
        "registry": here.registry.shown_uri,
        "readout": arrived.readout,
        "directory": str(folder),
        "calibration": {
            "digest": made.digest,
            "k": made.k,
            "estimator": made.estimator,
            "steer": made.thresholds.steer,
            "release": made.thresholds.release,
            "examples": len(made.example_hashes),
        },
        "evaluation": asdict(arrived.evaluation) if arrived.evaluation is not None else None,
        "objections": [each._asdict() for each in arrived.objections],
        "warnings": list(arrived.warnings),
        "version": version.label if version is not None else None,
        "shadow": version.label if arrived.shadow is not None and version is not None else None,
        "next": _steps(language, arrived),
    }


def _tell(here: Opened, language: str, arrived: Arrived, folder: Path, console: Console) -> None:
    from recal.registry.words import in_words

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, markup=False, highlight=False)

    made = arrived.made.calibration
    for warning in arrived.warnings:
        say(f"warning: {warning}", "yellow")
    release = "nothing" if made.thresholds.release is None else f"{made.thresholds.release:+.2f}"
    say(
        f"recalibrated with {arrived.readout} from {len(made.example_hashes)} examples (k = "
        f"{made.k}, {made.estimator}): steers from {made.thresholds.steer:+.2f}, releases up to "
        f"{release}; in {folder}"
    )
    _tell_evaluation(arrived, say)
    if arrived.version is None:
        say(f"dry run: nothing was registered at {here.registry.shown_uri}")
    else:
        say(f"registered as {arrived.version.label} at {here.registry.shown_uri}")
    if arrived.shadow is not None:
        for line in in_words(arrived.shadow, None, made):
            say(line)
    for objection in arrived.objections:
        say(f"it could not be promoted: {objection}", "yellow")
    for step in _steps(language, arrived):
        say(f"next: {step}")


def _tell_evaluation(arrived: Arrived, say: Any) -> None:
    found = arrived.evaluation
    if found is None:
        say(
            "NOT evaluated: no held-out prompts were given (`--held-out`), so nobody knows whether "
            "it makes the language safer",
            "bold yellow",
        )
        return
    say(
        f"evaluated on {found.n_harmful} harmful and {found.n_harmless} harmless held-out prompts: "
        f"harmful refusal {found.untouched.harmful_refusal:.1f} % untouched, "
        f"{found.gated.harmful_refusal:.1f} % with the gate; harmless "
        f"{found.untouched.harmless_refusal:.1f} %, {found.gated.harmless_refusal:.1f} %; "
        f"Δ {found.untouched.delta:.1f} → {found.gated.delta:.1f} "
        f"({found.gated.delta_low:.1f} to {found.gated.delta_high:.1f})"
    )
