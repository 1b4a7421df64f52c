"""The published baselines by name, each fitted when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

from recal.baselines import adasteer, alphasteer
from recal.baselines.adasteer import fit_adasteer
from recal.baselines.alphasteer import fit_alphasteer
from recal.baselines.cast import CastPlan, fit_cast
from recal.baselines.fitting import Fitting
from recal.method import Method
from services.readout.bundle import Scope


def _adasteer(name: str, scope: Scope, fitting: Fitting) -> Method:
    if not fitting.development:
        raise ValueError(
            f"`{name}` chooses its blocks on languages that the readout was not fitted on, and "
            "there are no training prompts of such a high- or mid-resource language; add some, or "
            "leave the method out"
        )
    return fit_adasteer(
        fitting.anchors,
        fitting.validation,
        languages=fitting.sources,
        development=fitting.development,
        run=fitting.run(name, len(adasteer.REACHES)),
        scope=scope,
    )


def _alphasteer(fitting: Fitting) -> Method:
    return fit_alphasteer(
        fitting.anchors,
        fitting.validation,
        languages=fitting.sources,
        run=fitting.run("alphasteer", len(alphasteer.STRENGTHS)),
    )


def _cast(name: str, behaviour: Literal["suffixes", "prompts"], fitting: Fitting) -> Method:
    plan = CastPlan(behaviour=behaviour)
    n_tried = len(plan.ranges(len(fitting.backbone.blocks))) * len(plan.strengths)
    return fit_cast(
        fitting.backbone,
        fitting.examples,
        fitting.validation,
        suffixes=fitting.suffixes,
        run=fitting.run(name, n_tried),
        plan=plan,
    )


PUBLISHED: Mapping[str, Callable[[Fitting], Method]] = MappingProxyType(
    {
        "adasteer": partial(_adasteer, "adasteer", Scope.PROMPT),
        "adasteer_decode": partial(_adasteer, "adasteer_decode", Scope.DECODE),
        "alphasteer": _alphasteer,
        "cast": partial(_cast, "cast", "suffixes"),
        "cast_adapted": partial(_cast, "cast_adapted", "prompts"),
    }
)
"""What others publish, refitted for the backbone that is evaluated."""
