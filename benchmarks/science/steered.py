"""An organism's readout with the steering that was found for it: what end-to-end runs work with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.science.reading import FITTED_ON, Reading
from recal.choose import Choice, choose
from recal.fit import Candidate, FitPlan, fit
from recal.generate import Generator
from recal.judge import OrganismJudge
from recal.prompts import select, spread
from recal.search import Found, SearchPlan, search
from services.backbone.load import Backbone
from services.readout.artefact import save_readout
from services.readout.bundle import Readout
from services.readout.place import Place

MADE_BY = "benchmarks.science.end_to_end"


class Steered(NamedTuple):
    """A saved readout, and how it was chosen."""

    readout: Readout
    papers: Readout
    """The paper's probe at its layer, with its steering: its whole line but for the refit."""
    choice: Choice
    found: Found


def steered(
    backbone: Backbone, reading: Reading, root: Path, *, n_acting: int, plan: SearchPlan
) -> Steered:
    """As `recal fit` does: choose what is read, search how to act, fit and save.

    Args:
        backbone: the organism.
        reading: of it; readout and directions are of the split that it did not learn.
        root: where the readout is kept.
        n_acting: validation prompts a class and high-resource language that choose how to act.
        plan: what is tried.

    Raises:
        ValueError: every steering that was tried degenerates.
    """
    activations = reading.activations[FITTED_ON]
    fit_plan = FitPlan(source_languages=reading.sources, development_languages=())
    choice = choose(activations, fit_plan)
    validation = select(reading.activations["validation"].prompts, languages=reading.sources)
    found = search(
        activations,
        spread(validation, n_acting),
        model=Generator(backbone),
        judge=OrganismJudge(),
        plan=plan,
        fit_plan=fit_plan,
    )
    readout = fit(
        activations,
        backbone.identity,
        chosen=choice.members,
        steering=found.steering,
        plan=fit_plan,
        provenance={"made_by": MADE_BY},
    )
    steering = found.paper.steering
    papers = fit(
        activations,
        backbone.identity,
        chosen=[Candidate(Place(steering.layer, "last"), len(reading.sources))],
        steering=steering,
        plan=replace(fit_plan, method="paper"),
        provenance={"made_by": MADE_BY},
    )
    folder = root / "readouts" / f"{reading.name}-{backbone.identity.weights_digest[:12]}"
    return Steered(
        save_readout(readout, folder),
        save_readout(papers, folder.with_name(f"{folder.name}-paper")),
        choice,
        found,
    )
