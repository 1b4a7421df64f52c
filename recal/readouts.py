"""Prompts and a backbone to a saved readout: collect, choose what is read, search, fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from recal.choose import Choice, choose
from recal.collect import Activations, Report, collect, refuse_missing_class
from recal.direction_readout import fit_direction
from recal.fit import FitPlan, fit
from recal.judge import Judge
from recal.maths.zone_width import WidthChoice
from recal.prompts import Prompt, Split, fewest, select, spread
from recal.recalibrate import calibrate_source
from recal.search import Found, SearchPlan, SearchWatch, Trial, search
from recal.trials import TreatedModel, TrialRun, refuses_by
from recal.zone_width import ZonePlan, width_from_development, with_zone_width
from services.backbone.load import Backbone
from services.readout.artefact import save_readout
from services.readout.bundle import Calibration, Readout


@dataclass(frozen=True)
class ReadoutPlan:
    """Everything that decides a readout, with how many prompts are used for what."""

    fit: FitPlan = field(default_factory=FitPlan)
    search: SearchPlan = field(default_factory=SearchPlan)
    n_fit: int = 96
    """Training prompts per class and language for directions and logistic."""
    n_search: int = 2
    """Validation prompts per class and language, source and development ones, for how to act."""
    zone: ZonePlan | None = field(default_factory=ZonePlan)
    """How the width of the untouched zone is chosen on the development languages; None, or without
    such languages: it is not, and calibrations take their default."""


class MadeReadout(NamedTuple):
    """A saved readout and how it was chosen."""

    readout: Readout
    directory: Path
    choice: Choice
    found: Found
    activations: Activations
    """Of the training prompts, for the source languages' own calibrations."""
    width: WidthChoice | None
    """Of the untouched zone; None where it was not chosen."""


@dataclass(frozen=True)
class Watch:
    """Who is told while it takes its time; each is called often."""

    collected: Report = lambda done, total: None
    compared: Report = lambda done, total: None
    """Places to read."""
    searched: Report = lambda done, total: None
    """Texts of the search, done and at most."""
    tried: Callable[[Trial], None] = lambda trial: None
    widths: Report = lambda done, total: None
    """Texts for the width of the untouched zone."""
    released: Report = lambda done, total: None
    """Texts of harmful prompts that a source language would release."""


def make_readout(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    directory: Path,
    *,
    plan: ReadoutPlan,
    generate: TreatedModel,
    judge: Judge,
    cache: Path | None = None,
    watch: Watch | None = None,
) -> MadeReadout:
    """Fit a readout with its steering and save it.

    Args:
        backbone: the whole model.
        prompts: labelled prompts of source and development languages; those of the split `train`
            fit, those of `validation` choose where and how strongly to act.
        directory: where the readout is saved.
        plan: what decides it.
        generate: answers prompts under treatments, for the search.
        judge: what counts as a refusal in the search.
        cache: folder for activations.
        watch: who is told of progress.

    Raises:
        ValueError: there is no such layer, prompts are missing, or every steering degenerates.
    """
    plan.fit.refuse_other_depth(backbone.identity.n_layers)
    told = watch or Watch()
    train = spread(_labelled(prompts, plan, "train"), plan.n_fit)
    activations = collect(backbone, train, cache=cache, report=told.collected)
    choice = choose(activations, plan.fit, report=told.compared)
    validation = _labelled(prompts, plan, "validation")
    found = search(
        activations,
        spread(validation, plan.n_search),
        model=generate,
        judge=judge,
        plan=plan.search,
        fit_plan=plan.fit,
        watch=SearchWatch(told.searched, told.tried),
    )
    readout = _fit(
        activations, backbone, choice, found, plan.fit, _provenance(choice, found, judge, train)
    )
    width = _width(
        readout,
        activations,
        select(validation, languages=plan.fit.development_languages),
        plan,
        read=partial(collect, backbone, layers=readout.layers, cache=cache, report=told.collected),
        run=TrialRun(generate, judge, report=told.widths),
    )
    saved = save_readout(readout if width is None else with_zone_width(readout, width), directory)
    return MadeReadout(saved, directory, choice, found, activations, width)


def _fit(
    activations: Activations,
    backbone: Backbone,
    choice: Choice,
    found: Found,
    plan: FitPlan,
    provenance: Mapping[str, str],
) -> Readout:
    """The readout of the chosen places, with its direction readout beside it."""
    made = fit(
        activations,
        backbone.identity,
        chosen=choice.members,
        steering=found.steering,
        plan=plan,
        provenance=provenance,
    )
    return replace(made, fallback=fit_direction(activations, choice.members, plan))


def calibrate_sources(
    backbone: Backbone,
    made: MadeReadout,
    prompts: Sequence[Prompt],
    *,
    generate: TreatedModel,
    judge: Judge,
    cache: Path | None = None,
    watch: Watch | None = None,
) -> list[Calibration]:
    """Calibrations of the readout's own languages.

    Args:
        backbone: the whole model.
        made: the readout, with the activations that it was fitted on.
        prompts: as for `make_readout`. Harmful ones of the split `validation`, which no weight was
            fitted on, say what a language would lose by releasing; with too few it never releases.
        generate: answers those of them that would be released.
        judge: what counts as a refusal.
        cache: folder for activations.
        watch: who is told of progress.

    Raises:
        ValueError: a source language has no harmful validation prompt.
    """
    told, readout = watch or Watch(), made.readout
    languages = readout.source_languages
    harmful = select(prompts, split="validation", languages=languages, harmful=True)
    unfitted = collect(backbone, harmful, layers=readout.layers, cache=cache, report=told.collected)
    run = TrialRun(generate, judge, report=told.released)
    refuses = refuses_by(run, readout.steering)
    return [
        calibrate_source(readout, made.activations, la, unfitted=unfitted, refuses=refuses)
        for la in languages
    ]


def _labelled(prompts: Sequence[Prompt], plan: ReadoutPlan, split: Split) -> list[Prompt]:
    used = (*plan.fit.source_languages, *plan.fit.development_languages)
    found = select(prompts, split=split, languages=used)
    refuse_missing_class(found, used, split)
    return found


def _width(
    readout: Readout,
    activations: Activations,
    validation: Sequence[Prompt],
    plan: ReadoutPlan,
    *,
    read: Callable[[Sequence[Prompt]], Activations],
    run: TrialRun,
) -> WidthChoice | None:
    """Of the untouched zone, chosen on development languages' validation prompts."""
    if plan.zone is None or not validation:
        return None
    languages = plan.fit.development_languages
    observed = read(spread(validation, min(plan.zone.n, fewest(validation))))
    return width_from_development(
        readout, activations, observed, languages, run=run, plan=plan.zone
    )


def _provenance(
    choice: Choice, found: Found, judge: Judge, train: Sequence[Prompt]
) -> dict[str, str]:
    chosen, release, paper = found.chosen, found.release, found.paper
    return {
        "n_prompts": str(len(train)),
        "choice": (
            f"of {len(choice.tried)} candidates: mean TPR {choice.chosen.transfer:.4f} at 5 % FPR "
            "on languages that the fit had not seen"
        ),
        "multiple": f"{chosen.multiple:g}",
        "search": (
            f"best of {len(found.trials)} at a close look: steered harmful "
            f"{chosen.steered_harmful:.3f}, steered harmless {chosen.steered_harmless:.3f}, "
            f"degenerate {chosen.degenerate:.3f}"
        ),
        "release": (
            f"{release.release.form.value}: best of {len(release.trials)} on "
            f"{release.n_false_refusals} false refusals"
        ),
        "paper": (
            f"block {paper.steering.layer}, coefficient {paper.steering.coefficient:.4g}"
            + ("" if paper.within_kl else "; no block moves harmless prompts little enough")
        ),
        "judge": judge.name,
    }
