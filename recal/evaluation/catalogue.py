"""Every method by its name. To add one, add a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from recal.collect import Activations
from recal.evaluation.gates import BestThreshold, FewShot, OracleGate, Saved
from recal.evaluation.method import Method
from recal.evaluation.ungated import Ungated
from recal.maths.estimators.catalogue import ESTIMATORS
from recal.recalibrate import PAPER, RecalibrationPlan
from services.domain import Action
from services.readout.bundle import Calibration, Readout

UNTOUCHED = "untouched"
ORACLE = "oracle"
BEST = "best"
SAVED = "saved"


@dataclass(frozen=True, eq=False)
class Material:
    """What methods are made of."""

    readout: Readout
    pool: Activations
    """Of the calibration split, at least at the layer that the readout reads."""
    calibrations: Mapping[str, Calibration]
    """Saved ones, by language; may be empty."""


class Entry(NamedTuple):
    """How a method is made, and from what."""

    make: Callable[[Material], Method]
    few_shot: bool = False
    """True: it needs the calibration split."""


def _few_shot(name: str, title: str, plan: RecalibrationPlan) -> Entry:
    return Entry(lambda m: FewShot(name, title, m.readout, plan, m.pool), few_shot=True)


def _ungated(name: str, title: str, action: Action) -> Entry:
    return Entry(lambda material: Ungated(name, title, material.readout, action))


METHODS: Mapping[str, Entry] = MappingProxyType(
    {
        UNTOUCHED: _ungated(UNTOUCHED, "untouched model", Action.NONE),
        "paper": _few_shot("paper", "paper's rule", PAPER),
        "recal": _few_shot("recal", "Recal", RecalibrationPlan()),
        SAVED: Entry(lambda material: Saved(material.readout, material.calibrations)),
        BEST: Entry(lambda material: BestThreshold(material.readout)),
        ORACLE: Entry(lambda material: OracleGate(material.readout)),
        "steer_all": _ungated("steer_all", "steer every prompt", Action.STEER),
        "release_all": _ungated("release_all", "release every prompt", Action.RELEASE),
    }
)
"""Methods by name. Beside them, the name of every estimator is one: that estimator with Recal's
three zones."""


def names() -> tuple[str, ...]:
    """All names that `methods_of` knows."""
    return (*METHODS, *sorted(set(ESTIMATORS) - set(METHODS)))


def methods_of(wanted: Sequence[str], material: Material) -> list[Method]:
    """The methods of the given names; the untouched model is always the first of them.

    Raises:
        ValueError: a name is unknown, or given twice.
    """
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"a method is named twice in `{','.join(wanted)}`; name each once")
    ordered = [UNTOUCHED, *(name for name in wanted if name != UNTOUCHED)]
    return [_entry(name).make(material) for name in ordered]


def are_few_shot(wanted: Sequence[str]) -> bool:
    """Whether one of these methods needs the calibration split.

    Raises:
        ValueError: a name is unknown.
    """
    return any(_entry(name).few_shot for name in wanted)


def _entry(name: str) -> Entry:
    if name in METHODS:
        return METHODS[name]
    if name in ESTIMATORS:
        return _few_shot(name, f"estimator {name}", RecalibrationPlan(estimator=name))
    raise ValueError(f"no method `{name}`; choose from {', '.join(names())}")
