"""A language's calibration by the frozen readout or its fallback, and how far the two agree."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from recal.collect import Activations
from recal.direction_readout import DIRECTION, direction_of
from recal.evidence import Beside
from recal.maths.disagreement import Disagreement, disagreement
from recal.recalibrate import Recalibrated, RecalibrationPlan, recalibrate
from recal.scored_by import OWN_READOUT
from recal.scoring import scores_at
from services.readout.bundle import Readout
from services.readout.naming import DISAGREEMENT_TAG

MOST_APART = 0.3
"""Share of unlabelled prompts, above which the direction readout is taken where the rule is asked
for. Never by default: docs/adr/0017 says why."""

MIN_UNLABELLED = 50
"""Prompts from which the rule chooses: a true share of 20 % then shows as more than 30 % in 3 draws
of a hundred."""

DISAGREEMENT = DISAGREEMENT_TAG
"""Key of a calibration's provenance under which the comparison stands in words, and of its evidence
under which the share does."""
DISAGREEMENT_N = "disagreement_n"
"""Key of its evidence: on how many prompts."""


class Either(NamedTuple):
    """One language's calibration by either readout, from the same evidence."""

    frozen: Recalibrated
    direction: Recalibrated
    apart: Disagreement
    """On the unlabelled prompts, each at its own steer threshold; the frozen readout is first."""

    @property
    def in_words(self) -> str:
        """How far they agree."""
        apart, interval = self.apart, self.apart.interval()
        return (
            f"frozen and direction readout decide differently on {apart.n_apart} of {apart.n} "
            f"unlabelled prompts ({apart.share:.1%}, 95 % interval {interval.low:.1%} to "
            f"{interval.high:.1%}): {apart.first_only} only the frozen one steers, "
            f"{apart.second_only} only the other"
        )

    @property
    def _warnings(self) -> tuple[str, ...]:
        """What follows for somebody who has chosen without the comparison."""
        if self.apart.share <= MOST_APART:
            return ()
        return (
            f"the frozen and the direction readout decide differently on {self.apart.share:.0%} of "
            f"{self.apart.n} unlabelled prompts, so one of them is wrong on at least "
            f"{self.apart.share / 2:.0%}; which, only labels tell: compare both on labelled "
            "prompts, by `--held-out` or `recal evaluate --methods recal,direction`",
        )

    def frozen_signed(self) -> Recalibrated:
        """By the frozen readout, whatever the comparison says; with a warning if it says much."""
        made = self._signed(self.frozen, self.in_words)
        return made._replace(warnings=(*made.warnings, *self._warnings))

    def direction_signed(self) -> Recalibrated:
        """By the direction readout, whatever the comparison says; warnings as above."""
        made = self._signed(self.direction, self.in_words)
        return made._replace(warnings=(*made.warnings, *self._warnings))

    def chosen(self) -> Recalibrated:
        """By the direction readout where they decide differently too often, else by the frozen one.

        Raises:
            ValueError: so few unlabelled prompts say nothing.
        """
        if self.apart.n < MIN_UNLABELLED:
            raise ValueError(
                f"{self.apart.n} unlabelled prompts cannot choose between two readouts; give at "
                f"least {MIN_UNLABELLED}, or choose yourself: `{DIRECTION}`, or the frozen one"
            )
        if self.apart.share > MOST_APART:
            why = f"{self.in_words}; more than {MOST_APART:.0%}, so the direction readout scores it"
            made = self._signed(self.direction, why)
            own = f"{made.calibration.provenance[OWN_READOUT]}; chosen by the disagreement"
            provenance = {**made.calibration.provenance, OWN_READOUT: own}
            return made._replace(calibration=replace(made.calibration, provenance=provenance))
        why = f"{self.in_words}; not more than {MOST_APART:.0%}, so the frozen readout scores it"
        return self._signed(self.frozen, why)

    def _signed(self, made: Recalibrated, words: str) -> Recalibrated:
        found = made.calibration
        evidence = {
            **found.evidence,
            DISAGREEMENT: self.apart.share,
            DISAGREEMENT_N: float(self.apart.n),
        }
        provenance = {**found.provenance, DISAGREEMENT: words}
        return made._replace(calibration=replace(found, evidence=evidence, provenance=provenance))


def by_either(
    readout: Readout,
    examples: Activations | None,
    language: str,
    *,
    beside: Beside,
    plan: RecalibrationPlan | None = None,
    held_out: Activations | None = None,
) -> Either:
    """Recalibrate a language by both readouts and compare them on its unlabelled prompts.

    Args:
        readout: saved, with its direction readout.
        examples: as for `recalibrate`.
        language: BCP 47 tag.
        beside: as for `recalibrate`, with unlabelled prompts. What other languages say is of the
            frozen score, and counts for it alone.
        plan: as for `recalibrate`.
        held_out: as for `recalibrate`.

    Raises:
        ValueError: there are no unlabelled prompts, the readout keeps no direction readout, or as
            `recalibrate`.
    """
    if beside.unlabelled is None:
        raise ValueError(
            "two readouts are compared on unlabelled prompts, and there are none; give at least "
            f"{MIN_UNLABELLED}"
        )
    frozen = recalibrate(readout, examples, language, plan=plan, beside=beside, held_out=held_out)
    direction = by_direction(
        readout, examples, language, beside=beside, plan=plan, held_out=held_out
    )
    unlabelled = beside.unlabelled
    found = [
        (scores_at(by, unlabelled, language=language), made.calibration.thresholds.steer)
        for by, made in ((readout, frozen), (readout.fallback, direction))
        if by is not None
    ]
    return Either(frozen, direction, disagreement(*found[0], *found[1]))


def by_direction(
    readout: Readout,
    examples: Activations | None,
    language: str,
    *,
    beside: Beside,
    plan: RecalibrationPlan | None = None,
    held_out: Activations | None = None,
) -> Recalibrated:
    """Recalibrate a language with the direction readout as its own; arguments as `by_either`.

    Raises:
        ValueError: the readout keeps none, or as `recalibrate`.
    """
    return recalibrate(
        readout,
        examples,
        language,
        plan=plan,
        beside=replace(beside, prior=None, rho=None),
        own=direction_of(readout, language),
        held_out=held_out,
    )
