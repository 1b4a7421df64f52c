"""`recal recalibrate`: what is known of a language to its calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recal.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from recal.collect import Activations
    from recal.evidence_files import Collect, Collected, EvidenceFiles
    from recal.prompts import Prompt
    from recal.recalibrate import Recalibrated, RecalibrationPlan
    from services.backbone.load import Backbone
    from services.readout.bundle import Calibration, Readout
    from services.settings import Settings

REGISTRY, NONE = "registry", "none"
"""Values of `--prior` that are no folder."""

AUTO = "auto"
"""Value of `--own`: whichever the disagreement on unlabelled prompts says."""

_ESTIMATORS = (
    "auto, midpoint, paper_f1, empirical_bayes, bias_only or paired; without labels: unlabelled, "
    "parallel or translate_train; with a guarantee: conformal."
)

Examples = Annotated[
    Path | None,
    typer.Option(help="YAML or JSON lines; with no file at all, the corpus's calibration split."),
]
K = Annotated[int | None, typer.Option(min=0, help="Examples per class from the corpus; 4.")]
Sources = Annotated[
    Path | None,
    typer.Option(
        help="The examples in a source language; with `--own distil` the prompts that were "
        "translated. Both by parallel id; YAML or JSON lines."
    ),
]
Unlabelled = Annotated[
    Path | None, typer.Option(help="Prompts as users send them; JSON lines with `text`.")
]
Share = Annotated[float, typer.Option(help="Share of these that is thought to be harmful.")]
Parallel = Annotated[
    Path | None,
    typer.Option(
        help="Prompts of it and of a source language, by parallel id; JSON lines, no labels."
    ),
]
Translated = Annotated[
    Path | None, typer.Option(help="Labelled prompts translated into it; YAML or JSON lines.")
]
Own = Annotated[
    str,
    typer.Option(
        help="What scores the language in place of the frozen readout. Fitted on `--translated`: "
        "`translate_train` by their labels, `distil` by the frozen scores of `--sources`. "
        "`direction`: projections on the source languages' difference in means; `auto`: these, "
        "where the two decide differently on more than 30 % of `--unlabelled`."
    ),
]
PriorFrom = Annotated[
    str,
    typer.Option(
        help="Other languages' calibrations: a folder (var/calibrations by default), `registry` "
        "for those that serve, or `none`."
    ),
]
HeldOut = Annotated[
    Path | None, typer.Option(help="JSON lines for the stored metrics; never the examples.")
]
Width = Annotated[
    float | None, typer.Option(help="Width of the untouched zone; the readout's own, or 1.")
]
Bound = Annotated[
    float | None,
    typer.Option(help="Bound steered harmless and released harmful prompts, e.g. 0.05."),
]


def recalibrate(
    language: Annotated[str, typer.Option("--language", help="BCP 47 tag, e.g. sw.")],
    readout: options.ReadoutDirectory = Path("var/readout"),
    examples: Examples = None,
    k: K = None,
    sources: Sources = None,
    unlabelled: Unlabelled = None,
    harmful_share: Share = 0.5,
    parallel: Parallel = None,
    translated: Translated = None,
    own: Own = "",
    prior: PriorFrom = "",
    held_out: HeldOut = None,
    estimator: Annotated[str, typer.Option(help=_ESTIMATORS)] = "auto",
    routing: Annotated[str, typer.Option(help="three_zone or two_way.")] = "three_zone",
    c: Width = None,
    bound: Bound = None,
    out: Annotated[Path | None, typer.Option(help="Default: var/calibrations/LANGUAGE.")] = None,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Set one language's thresholds from 1 to 4 examples per class (more, or none, do too).

    `auto` weighs all that is given by its precision; `--own` goes past what a threshold can reach.
    """
    from rich.console import Console

    from recal.evidence_files import EvidenceFiles, collect_evidence
    from recal.inputs import settings_of, whole_backbone
    from recal.languages import refuse_unknown_tag
    from recal.maths.estimators.catalogue import estimator_of
    from recal.recalibrate import RecalibrationPlan
    from services.readout.artefact import load_readout

    refuse_unknown_tag(language)
    estimator_of(estimator)
    plan = RecalibrationPlan(estimator, routing, c, bound)
    files = EvidenceFiles(
        examples, k, sources, unlabelled, harmful_share, parallel, translated, held_out
    )
    _refuse_frozen(own, files, prior)
    console = Console()
    settings = settings_of(config, model)
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    frozen = load_readout(readout, backbone=backbone.identity)
    folder = out if out is not None else settings.state_dir / "calibrations" / language
    others = [] if own not in ("", AUTO) else _others(prior, settings, backbone, frozen, console)
    found = collect_evidence(files, language, _collecting(backbone, frozen, console))
    made = _made(own, frozen, found, language, plan, others)
    _save(made, folder, frozen, console, warnings=_foreign(found.examples, settings))


def _refuse_frozen(own: str, files: EvidenceFiles, prior: str) -> None:
    """Check that what is asked for has what it needs, and nothing that is of another score."""
    from recal.direction_readout import DIRECTION
    from recal.own_readout import OWN_METHODS

    if own and own not in (*OWN_METHODS, DIRECTION, AUTO):
        raise ValueError(
            f"no own readout is called `{own}`; choose one of "
            f"{', '.join((*OWN_METHODS, DIRECTION, AUTO))}"
        )
    if own == AUTO and files.unlabelled is None:
        raise ValueError(
            f"`--own {AUTO}` compares two readouts on prompts without labels; give them by "
            "`--unlabelled`"
        )
    if own in OWN_METHODS:
        _refuse_beside_translations(own, files)
    if own in ("", AUTO) or prior in ("", NONE):
        return
    raise ValueError(
        f"`--prior {prior}` is of the frozen score, in another unit than that of `--own {own}`; "
        "leave one of them out"
    )


def _refuse_beside_translations(own: str, files: EvidenceFiles) -> None:
    if files.translated is None:
        raise ValueError(f"`--own {own}` is fitted on translations; give them by `--translated`")
    if files.parallel is not None:
        raise ValueError(
            f"`--parallel` is of the frozen score, in another unit than that of `--own {own}`; "
            "leave one of them out"
        )
    if (files.sources is None) == (own == "distil"):
        raise ValueError(
            "`--own distil` is taught by `--sources`, the prompts that were translated; give them"
            if own == "distil"
            else f"`--own {own}` has no use for `--sources`; leave it out, or use `--own distil`"
        )


def _made(
    own: str,
    readout: Readout,
    found: Collected,
    language: str,
    plan: RecalibrationPlan,
    others: Sequence[Calibration],
) -> Recalibrated:
    """The calibration, by whatever is to score the language."""
    from dataclasses import replace

    from recal.direction_readout import DIRECTION
    from recal.fallback import by_direction, by_either
    from recal.own_readout import fit_own, own_method
    from recal.prior import own_thresholds, prior_for, rho_for
    from recal.recalibrate import recalibrate as run

    given, examples, held_out = found.beside, found.examples, found.held_out
    if own not in ("", AUTO, DIRECTION):
        if given.translated is None:
            raise ValueError(f"`--own {own}` is fitted on translations; give `--translated`")
        method = own_method(own)
        weights = fit_own(readout, given.translated, language, method=method, sources=given.sources)
        beside = replace(given, translated=None, sources=None)
        return run(
            readout, examples, language, plan=plan, beside=beside, own=weights, held_out=held_out
        )
    prior = prior_for(language, own_thresholds(others, readout))
    beside = replace(given, prior=prior, rho=rho_for(language, others, readout))
    if given.unlabelled is not None and (readout.fallback is not None or own):
        either = by_either(readout, examples, language, plan=plan, beside=beside, held_out=held_out)
        if own == AUTO:
            return either.chosen()
        return either.direction_signed() if own == DIRECTION else either.frozen_signed()
    run_by = by_direction if own == DIRECTION else run
    return run_by(readout, examples, language, plan=plan, beside=beside, held_out=held_out)


def _collecting(backbone: Backbone, readout: Readout, console: Console) -> Collect:
    from recal.collect import collect
    from recal.progress import counting

    def read(name: str, prompts: Sequence[Prompt]) -> Activations:
        with counting(name, console=console) as report:
            return collect(backbone, prompts, layers=readout.layers, report=report)

    return read


def _others(
    prior: str, settings: Settings, backbone: Backbone, readout: Readout, console: Console
) -> list[Calibration]:
    """The calibrations of this readout that a prior may come from."""
    from services.composition import bundle_source

    if prior == NONE:
        return []
    if prior == REGISTRY:
        served = bundle_source(settings, backbone.identity).fetch()
        found = list(served.calibrations.values())
    else:
        folder = Path(prior) if prior else settings.state_dir / "calibrations"
        if prior and not folder.is_dir():
            raise ValueError(
                f"`--prior {prior}` is no folder; name one with saved calibrations, `{REGISTRY}` "
                f"or `{NONE}`"
            )
        found = _saved(folder, backbone, console)
    strange = [each.language for each in found if each.readout_digest != readout.digest]
    if strange:
        _warn(
            console,
            [
                f"no prior from {', '.join(strange)}: calibrations of another readout than "
                f"{readout.digest[:12]}; recalibrate them with this one"
            ],
        )
    return [each for each in found if each.readout_digest == readout.digest]


def _saved(folder: Path, backbone: Backbone, console: Console) -> list[Calibration]:
    from services.errors import ArtefactRefused
    from services.readout.artefact import load_calibration

    found = []
    for path in sorted(folder.glob("*/manifest.json")):
        try:
            found.append(load_calibration(path.parent, backbone=backbone.identity))
        except ArtefactRefused as error:
            _warn(console, [f"no prior from `{path.parent.name}`: {error}"])
    return found


def _foreign(examples: Activations | None, settings: Settings) -> list[str]:
    """Examples that language identification takes for another language."""
    import asyncio

    from recal.foreign import foreign_warnings
    from services.composition import load_language_id

    if examples is None:
        return []
    identify = load_language_id(settings).identify
    return asyncio.run(foreign_warnings(examples.prompts, identify))


def _warn(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False)


def _save(
    made: Recalibrated, folder: Path, readout: Readout, console: Console, *, warnings: Sequence[str]
) -> None:
    from recal.fallback import DISAGREEMENT
    from recal.scored_by import OWN_READOUT
    from services.readout.artefact import save_calibration

    _warn(console, [*made.warnings, *warnings])
    saved = save_calibration(made.calibration, folder)
    parts = ", ".join(
        f"{name} {value:+.2f} ± {saved.evidence[f'{name}_sd']:.2f}"
        for name, value in saved.evidence.items()
        if f"{name}_sd" in saved.evidence
    )
    beside = f"; the source languages' is {readout.source_threshold:+.2f}"
    if saved.own is not None:
        beside = ", of its own readout's score"
        console.print(f"own readout: {saved.provenance[OWN_READOUT]}", highlight=False)
    console.print(
        f"{saved.language}: threshold {saved.threshold:+.2f} ± {saved.posterior_sd:.2f} from k = "
        f"{saved.k} ({saved.estimator}{beside}); {saved.digest[:12]} in {folder}",
        highlight=False,
    )
    if parts:
        console.print(f"made of: {parts}", highlight=False)
    if DISAGREEMENT in saved.provenance:
        console.print(f"readouts: {saved.provenance[DISAGREEMENT]}", highlight=False)
