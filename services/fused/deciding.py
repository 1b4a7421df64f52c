"""From the gate's laws to what a prefill decides by: one bundle's, and one request's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from services.backbone.chat import EncodedPrompt
from services.backbone.load import Backbone
from services.domain import Action, Reason, Verdict
from services.errors import ServiceError
from services.gate.decide import decide_by
from services.gate.law import Case, Law, law_of_row, laws_of
from services.generation.choices import Choices, untouched_but
from services.generation.intake import treatment_under
from services.generation.undecided import NOTHING, ScoreLaw, Undecided
from services.readout.bundle import Bundle
from services.readout.place import Place
from services.readout.scores import Scores, column_of, score_table, scores_of


class DecidingBundle:
    """A bundle as prefills decide by it: how it scores, and what each action does."""

    def __init__(self, bundle: Bundle, backbone: Backbone) -> None:
        """Prepare the given bundle for the given backbone.

        Raises:
            ArtefactRefused: its steering cannot be used.
            VersionMismatch: it acts on a block that the backbone does not have.
        """
        self.bundle = bundle
        acting = {
            action.value: treatment_under(bundle.readout, action, backbone)
            for action in (Action.STEER, Action.RELEASE)
        }
        self.choices = Choices(untouched_but(**acting), self.places, backbone.device)

    @property
    def places(self) -> tuple[Place, ...]:
        """What is read of every prompt."""
        return self.bundle.readout.places

    def table(self, residuals: Tensor) -> Tensor:
        """(n, len(places), d_model) to (n, columns) float32; column 0 is the frozen score."""
        return score_table(self.bundle, residuals)


class Deciding:
    """One request that its prefill decides, and then its verdict."""

    def __init__(self, case: Case, prompt: EncodedPrompt, by: DecidingBundle) -> None:
        """Take the laws that the request falls under.

        Args:
            case: everything that decides it, but its scores.
            prompt: as it will run.
            by: the case's bundle.

        Raises:
            ServiceError: a row of the policy table says that the call fails.
        """
        self._case = case
        self._laws = laws_of(case)
        self._found: tuple[Verdict, Scores] | None = None
        fixed = [_code(law, Action.NONE) for law in self._laws if law.is_fixed]
        self.undecided = Undecided(
            scorer=by,
            instruction_end=prompt.instruction_end,
            laws=tuple(
                _score_law(law, column_of(law.calibration, case.bundle))
                for law in self._laws
                if law.calibration is not None
            ),
            fixed=max(fixed, default=NOTHING),
            broken=_code_of_broken(case),
            settle=self._settle,
        )

    @property
    def verdict(self) -> Verdict:
        """What the prefill found.

        Raises:
            RuntimeError: it has not run.
        """
        return self._read[0]

    @property
    def scores(self) -> Scores:
        """What the prefill read, of everything in the bundle; errors as `verdict`."""
        return self._read[1]

    @property
    def _read(self) -> tuple[Verdict, Scores]:
        if self._found is None:
            raise RuntimeError("the verdict is asked for before its prefill has run")
        return self._found

    def _settle(self, row: Sequence[float]) -> Action:
        scores = scores_of(self._case.bundle, row)
        verdict = decide_by(self._laws, self._case, scores)
        self._found = (verdict, scores)
        return verdict.action


def _score_law(law: Law, column: int) -> ScoreLaw:
    assert law.calibration is not None, "a law without a calibration reads no score"
    thresholds = law.calibration.thresholds
    # no finite score lies at or below minus infinity
    release = float("-inf") if thresholds.release is None else thresholds.release
    codes = tuple(_code(law, said) for said in (Action.STEER, Action.NONE, Action.RELEASE))
    return ScoreLaw(column, thresholds.steer, release, (codes[0], codes[1], codes[2]))


def _code(law: Law, said: Action) -> int:
    """The code of what a law does where the thresholds say so."""
    return law.rulings[said].action.strictness


def _code_of_broken(case: Case) -> int:
    """The code where a score is not finite; a row that fails the call generates nothing."""
    try:
        return _code(law_of_row(case, Reason.NON_FINITE_ACTIVATION), Action.NONE)
    except ServiceError:
        return Action.REFUSE.strictness
