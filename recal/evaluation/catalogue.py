"""Every method by its name. To add one, add a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from recal.baselines.fitting import Fitting
from recal.baselines.gate_addition import GateAddition
from recal.baselines.oracle import OracleGate
from recal.baselines.ungated import (
    ungated_ablation,
    ungated_addition,
    ungated_release,
    untouched,
)
from recal.collect import Activations
from recal.direction_readout import DIRECTION
from recal.evaluation.gates import BestThreshold, FewShot, Saved
from recal.evaluation.own_gate import direction_gate, own_gate
from recal.evaluation.published import PUBLISHED
from recal.maths.estimators.catalogue import ESTIMATORS
from recal.method import Method
from recal.own_readout import OwnMethod
from recal.recalibrate import PAPER, RecalibrationPlan
from recal.trials import Refuses
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
    fitting: Fitting | None = None
    """What published baselines are fitted on; None where none of them is wanted."""
    translations: Activations | None = None
    """What own readouts are fitted on; may be empty. None: there are none to be had."""
    refuses: Refuses | None = None
    """Says what the readout's own languages would lose by releasing; None: all that is harmful."""


class Entry(NamedTuple):
    """How a method is made, and from what."""

    make: Callable[[Material], Method]
    few_shot: bool = False
    """True: it needs the calibration split."""
    fitted: bool = False
    """True: it is fitted on training prompts, and tries strengths on validation prompts."""
    translated: bool = False
    """True: it takes a language's training prompts for translations, and fits on them."""


def _few_shot(name: str, title: str, plan: RecalibrationPlan) -> Entry:
    return Entry(lambda m: _gate(name, title, m, plan), few_shot=True)


def _gate(name: str, title: str, material: Material, plan: RecalibrationPlan) -> FewShot:
    return FewShot(name, title, material.readout, plan, material.pool, refuses=material.refuses)


def _ours(material: Material) -> FewShot:
    return _gate("recal", "Recal", material, RecalibrationPlan())


def _with_pairs(material: Material) -> FewShot:
    return replace(
        _ours(material), name="recal_pairs", title="Recal, with pairs of prompts", pairs=True
    )


def _own(method: OwnMethod, title: str) -> Entry:
    def make(material: Material) -> Method:
        if material.translations is None:
            raise ValueError(f"`{method}` is fitted on translations, and there are none given")
        return own_gate(method, title, _ours(material), material.translations)

    return Entry(make, few_shot=True, translated=True)


def _published(name: str, fit: Callable[[Fitting], Method]) -> Entry:
    def make(material: Material) -> Method:
        if material.fitting is None:
            raise ValueError(f"`{name}` is fitted on training prompts, and there are none given")
        return fit(material.fitting)

    return Entry(make, fitted=True)


METHODS: Mapping[str, Entry] = MappingProxyType(
    {
        UNTOUCHED: Entry(lambda material: untouched(UNTOUCHED)),
        "paper": _few_shot("paper", "paper's rule", PAPER),
        "recal": Entry(_ours, few_shot=True),
        "recal_pairs": Entry(_with_pairs, few_shot=True),
        "translate_train": _own("translate_train", "own readout (labels of translations)"),
        "distil": _own("distil", "own readout (scores of source prompts)"),
        DIRECTION: Entry(
            lambda material: direction_gate("direction readout", _ours(material)), few_shot=True
        ),
        SAVED: Entry(lambda material: Saved(material.readout, material.calibrations)),
        BEST: Entry(lambda material: BestThreshold(material.readout)),
        ORACLE: Entry(lambda material: OracleGate(material.readout.steering)),
        "gate_addition": Entry(lambda material: GateAddition(_ours(material)), few_shot=True),
        "steer_all": Entry(lambda material: ungated_addition(material.readout.steering)),
        "release_all": Entry(lambda material: ungated_release(material.readout.steering)),
        "ablate_all": Entry(lambda material: ungated_ablation(material.readout.steering)),
        **{name: _published(name, fit) for name, fit in PUBLISHED.items()},
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


def are_fitted(wanted: Sequence[str]) -> bool:
    """Whether one of these methods is fitted on training prompts.

    Raises:
        ValueError: a name is unknown.
    """
    return any(_entry(name).fitted for name in wanted)


def are_translated(wanted: Sequence[str]) -> bool:
    """Whether one of these methods is fitted on translations.

    Raises:
        ValueError: a name is unknown.
    """
    return any(_entry(name).translated for name in wanted)


def _entry(name: str) -> Entry:
    if name in METHODS:
        return METHODS[name]
    if name in ESTIMATORS:
        return _few_shot(name, f"estimator {name}", RecalibrationPlan(estimator=name))
    raise ValueError(f"no method `{name}`; choose from {', '.join(names())}")
