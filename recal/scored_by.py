"""What scores a language, the frozen readout or one of its own, and the evidence that follows."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from recal.collect import Activations
from recal.evidence import Beside, Gathered, gather
from recal.maths.estimators import conformal
from recal.maths.evidence import Evidence
from recal.maths.source import SourceStatistics
from recal.own_readout import FittedOwn, refuse_translations
from recal.scoring import Scorer
from services.readout.bundle import Calibration, Readout

OWN_READOUT = "own_readout"
"""Key of a calibration's provenance under which it stands how its own readout came to be."""


class ScoredBy(NamedTuple):
    """What scores a language: the frozen readout, or one of its own."""

    by: Scorer
    source: SourceStatistics
    own: FittedOwn | None

    @classmethod
    def of(cls, readout: Readout, own: FittedOwn | None) -> ScoredBy:
        """The own readout where there is one.

        Raises:
            ValueError: it reads elsewhere than the frozen one.
        """
        if own is None:
            return cls(readout, source_statistics_of(readout), None)
        own.readout.refuse_other_places(readout.places)
        return cls(own.readout, own.source, own)

    def gather(self, examples: Activations | None, language: str, beside: Beside) -> Gathered:
        """A language's evidence; of a readout fitted on translations they are a part of it.

        Raises:
            ValueError: as `recal.evidence.gather`; with an own readout, a prompt is one of its
                translations too, or what is known beside is of the frozen score.
        """
        own = self.own
        if own is None:
            return gather(self.by, examples, language, beside)
        _refuse_other_unit(own, language, beside)
        for given, what in ((examples, "example"), (beside.unlabelled, "unlabelled prompt")):
            if given is not None:
                self.refuse_translations(given, what)
        found = gather(self.by, examples, language, beside)
        if own.scores is None:
            return found
        evidence = replace(found.evidence, translated=own.scores)
        return found._replace(evidence=evidence, used=(*found.used, *own.prompts))

    def refuse_translations(self, given: Activations, what: str) -> None:
        """As the function of that name; nothing where the frozen readout scores."""
        if self.own is not None:
            refuse_translations(self.own, given.prompts, what)

    def evidence_for(self, estimator: str, gathered: Gathered) -> Evidence:
        """What an estimator is given."""
        return self.exchangeable(gathered) if estimator == conformal.NAME else gathered.evidence

    def exchangeable(self, gathered: Gathered) -> Evidence:
        """What a bound may rest on: scores that are exchangeable with a new prompt's.

        Cross-fitted ones are not: five fits made them, and a sixth serves.
        """
        if self.own is None or self.own.scores is None:
            return gathered.evidence
        return replace(gathered.evidence, translated=None)

    def signed(self, calibration: Calibration) -> Calibration:
        """The calibration with what its thresholds are held against, and how that came to be."""
        if self.own is None:
            return calibration
        provenance = {**calibration.provenance, OWN_READOUT: self.own.said}
        return replace(calibration, own=self.own.readout, provenance=provenance)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know of its translations."""
        return () if self.own is None else self.own.warnings


def _refuse_other_unit(own: FittedOwn, language: str, beside: Beside) -> None:
    if own.language != language:
        raise ValueError(
            f"the own readout is of `{own.language}` and scores no prompt of `{language}`; fit one "
            "of that language"
        )
    given: dict[str, object] = {"other languages' thresholds": beside.prior}
    if own.scores is not None:
        # weights of this language alone say nothing of a prompt in another
        given |= {
            "source translations": beside.sources,
            "parallel prompts": beside.parallel,
            "translated prompts": beside.translated,
        }
    strange = [name for name, each in given.items() if each is not None]
    if strange:
        raise ValueError(
            f"{' and '.join(strange)} say nothing of the score of an own readout, whose unit is "
            f"another; leave them out for `{language}`"
        )


def source_statistics_of(readout: Readout) -> SourceStatistics:
    """What a saved readout knows of its source languages' scores."""
    statistics = readout.source_statistics
    return SourceStatistics(
        mean_harmful=statistics["mean_harmful"],
        mean_harmless=statistics["mean_harmless"],
        sd_within=statistics["sd_within"],
        threshold=readout.source_threshold,
    )
