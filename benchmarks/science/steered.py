"""An organism's readout with the steering that was found for it: what end-to-end runs work with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchmarks.science.reading import FITTED_ON, Reading
from recal.choose import Choice, choose
from recal.fit import FitPlan, fit
from recal.generate import Generator
from recal.judge import OrganismJudge
from recal.prompts import select, spread
from recal.search import Found, SearchPlan, search
from services.backbone.load import Backbone
from services.readout.artefact import save_readout
from services.readout.bundle import Readout


class Steered(NamedTuple):
    """A saved readout, and how it was chosen."""

    readout: Readout
    choice: Choice
    found: Found


def steered(
    backbone: Backbone, reading: Reading, root: Path, *, n_search: int, plan: SearchPlan
) -> Steered:
    """As `recal fit` does: choose what is read, search how to act, fit and save.

    Args:
        backbone: the organism.
        reading: of it; readout and directions are of the split that it did not learn.
        root: where the readout is kept.
        n_search: validation prompts a class and high-resource language that choose how to act.
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
        spread(validation, n_search),
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
        provenance={"made_by": "benchmarks.science.end_to_end"},
    )
    folder = root / "readouts" / f"{reading.name}-{backbone.identity.weights_digest[:12]}"
    return Steered(save_readout(readout, folder), choice, found)
