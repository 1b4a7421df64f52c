"""The width of the untouched zone, from what each action does to development prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recal.collect import Activations
from recal.maths.threshold import ThresholdEstimate
from recal.maths.zone_width import WIDTHS, Observed, WidthChoice, choose_width
from recal.prompts import Prompt, draw, fewest
from recal.recalibrate import ZONE_WIDTH, RecalibrationPlan, recalibrate_together
from recal.scoring import scores_at
from recal.trials import Refuses, TrialRun, refuses_by
from services.domain import Action
from services.readout.bundle import Calibration, Readout

Report = Callable[[str, int, int], None]
"""Called with a language, and languages done and in all."""

ACTIONS = (Action.NONE, Action.STEER, Action.RELEASE)


@dataclass(frozen=True)
class ZonePlan:
    """How the width is chosen; as the default calibration will be made."""

    k: int = 4
    """Examples per class and language that a threshold is set from, or all where there are fewer.
    """
    draws: int = 20
    """Of the examples: the width must do for lucky and unlucky ones."""
    n: int = 12
    """Validation prompts per class and language that are answered under every action, or as many
    as every language has."""

    def __post_init__(self) -> None:
        for name in ("k", "draws", "n"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}; it must be at least 1")


def width_from_development(
    readout: Readout,
    examples: Activations,
    observed: Activations,
    languages: Sequence[str],
    *,
    run: TrialRun,
    plan: ZonePlan,
) -> WidthChoice:
    """Choose c on development languages that are recalibrated as any new language is.

    Args:
        readout: that is being made; it need not be saved yet.
        examples: labelled prompts of these languages, from which few are drawn again and again.
        observed: other prompts of these languages, which are answered under every action.
        languages: BCP 47 tags.
        run: answers and judges.
        plan: how many of what.

    Raises:
        ValueError: as `choose_zone_width` and `recalibrate_together`.
    """
    drawn: dict[str, list[Calibration]] = {language: [] for language in languages}
    place = {prompt: row for row, prompt in enumerate(examples.prompts)}
    pool = [prompt for prompt in examples.prompts if prompt.language in drawn]
    k = min(plan.k, fewest(pool))
    for number in range(1, plan.draws + 1):
        few = examples.subset([place[prompt] for prompt in draw(pool, k, number=number)])
        # with any width: only the threshold and its spread are looked at
        made = recalibrate_together(readout, few, languages, plan=RecalibrationPlan(c=1.0))
        for language, each in made.items():
            drawn[language].append(each.calibration)

    run.expect(len(ACTIONS) * len(observed.prompts))
    refuses = refuses_by(run, readout.steering)
    return choose_zone_width(readout, observed, drawn, refuses=refuses)


def choose_zone_width(
    readout: Readout,
    activations: Activations,
    calibrations: Mapping[str, Sequence[Calibration]],
    *,
    refuses: Refuses,
    widths: Sequence[float] = WIDTHS,
    tolerance: float = 0.0,
    report: Report = lambda language, done, total: None,
) -> WidthChoice:
    """Choose c on development languages: the highest Δ that leaves none less safe than untouched.

    Every prompt is answered under each action once, whatever the number of widths and draws.

    Args:
        readout: scores.
        activations: of development prompts that set none of the calibrations' thresholds.
        calibrations: by development language, one for each draw of examples.
        refuses: answers and judges.
        widths: candidates for c.
        tolerance: points of harmful refusal that a language may lose, for the noise of its rate.
        report: called after every language.

    Raises:
        ValueError: no language, or one lacks a class, or a prompt was an example.
    """
    observed = []
    for done, (language, drawn) in enumerate(calibrations.items(), start=1):
        observed += observe(readout, activations, language, drawn, refuses=refuses)
        report(language, done, len(calibrations))
    return choose_width(observed, widths=widths, tolerance=tolerance)


def observe(
    readout: Readout,
    activations: Activations,
    language: str,
    calibrations: Sequence[Calibration],
    *,
    refuses: Refuses,
) -> list[Observed]:
    """What each action does to one language's prompts, beside each of its calibrations.

    Raises:
        ValueError: there are no prompts of the language, or one was an example.
    """
    prompts = [p for p in activations.prompts if p.language == language]
    _refuse_examples(prompts, calibrations)
    scores = scores_at(readout, activations, language=language)
    untouched, steered, released = (
        np.array([bool(refused) for refused in refuses(prompts, action)]) for action in ACTIONS
    )
    return [
        Observed(
            language=language,
            scores=scores,
            harmful=np.array([p.harmful for p in prompts]),
            untouched=untouched,
            steered=steered,
            released=released,
            estimate=ThresholdEstimate(each.threshold, each.posterior_sd, ()),
        )
        for each in calibrations
    ]


def with_zone_width(readout: Readout, choice: WidthChoice) -> Readout:
    """The readout with a chosen width, which `recal recalibrate` then takes by default.

    It is another readout than before, to be saved anew: calibrations of the old one do not fit it.
    """
    kept = {ZONE_WIDTH: repr(choice.c), "zone_width_is_safe": str(choice.is_safe).lower()}
    return replace(readout, provenance={**readout.provenance, **kept}, digest="", version="")


def _refuse_examples(prompts: Sequence[Prompt], calibrations: Sequence[Calibration]) -> None:
    examples = {digest for each in calibrations for digest in each.example_hashes}
    reused = [p.id for p in prompts if p.digest in examples]
    if reused:
        raise ValueError(
            f"{len(reused)} prompt(s) set a threshold of theirs and cannot choose the zone, the "
            f"first is `{reused[0]}`; observe other prompts"
        )
