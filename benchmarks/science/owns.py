"""Own readouts of languages as arms of the whole line: what they are fitted on, and their bar."""

from __future__ import annotations

from benchmarks.science.prompt_sets import LOW
from benchmarks.science.reading import FITTED_ON, Reading
from recal.collect import Activations
from recal.demo.results import Bar
from recal.evaluation.report import ALL_LANGUAGES, ArmReport, EvaluationReport
from recal.own_readout import OWN_METHODS, OwnMethod

METHODS: tuple[OwnMethod, ...] = OWN_METHODS
RISE = 5.0
"""Points of Δ that `translate_train` is to bring over the frozen readout."""


def translations(reading: Reading) -> Activations:
    """What stands in for translations: what the readout was fitted on, in all languages.

    No organism learned them, in any language. Of the low-resource languages they are the
    translations; of the readout's own, what was translated, whose frozen scores teach `distil`.
    """
    activations, wanted = reading.activations[FITTED_ON], {*LOW, *reading.sources}
    return activations.subset(
        [row for row, p in enumerate(activations.prompts) if p.language in wanted]
    )


def keep_frozen(arm: ArmReport) -> list[str]:
    """Languages in which an own readout was no better, so that the arm is Recal there."""
    # thresholds of an own score are of its own unit, and not reported
    return [r.language for r in arm.results if r.gate.steer_thresholds]


def bar_of(name: str, report: EvaluationReport) -> Bar:
    """What was promised of `translate_train`, at the k of the report's reference.

    Args:
        name: of the organism.
        report: of languages that the readout was not fitted on; Recal at some k is its reference.

    Raises:
        ValueError: the reference was not compared with `translate_train` at its k.
    """
    ours = report.arm(report.reference)
    own = report.arm(f"translate_train@{ours.k}")
    (against,) = [
        each for each in report.comparisons if (each.other, each.tier) == (own.key, ALL_LANGUAGES)
    ]
    # the report has the reference minus the other
    rise, low, high = (
        -x for x in (against.difference.value, against.difference.high, against.difference.low)
    )
    kept = " ".join(keep_frozen(own))
    return Bar(
        f"{name}: Δ of {own.key} at least {RISE:g} points above {ours.key}, the frozen readout's",
        f"{rise:+.1f} ({low:+.1f} to {high:+.1f})" + (f", frozen in {kept}" if kept else ""),
        rise >= RISE,
    )
