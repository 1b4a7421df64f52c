"""Two runs over the same questions, paired: what the gate did to accuracy and to choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from recal.maths.interval import rate_interval
from recal.maths.paired import mcnemar_p, paired, paired_difference
from services.domain import Action, Verdict

MARGIN = 1.0
"""Points of accuracy that may be lost before the gate counts as costly."""
_METRICS = ("acc", "exact_match")


class Answered(NamedTuple):
    """One question, answered untouched and gated."""

    task: str
    right_untouched: bool
    right_gated: bool
    same_choice: bool
    verdict: Verdict
    """What the gate did to its prompt, and why."""


@dataclass(frozen=True)
class Comparison:
    """What the gate did to one task, or to all. Rates in points, 0 to 100."""

    task: str
    n: int
    """Questions answered in both runs."""
    n_too_long: int
    """Left out: they do not fit the context."""
    untouched: float
    """Accuracy."""
    gated: float
    difference: float
    """Gated minus untouched."""
    low: float
    """Lower end of the difference's 95 % interval (Newcombe, paired)."""
    high: float
    p: float
    """McNemar, exact."""
    agreement: float
    """Share of questions with the same choice in both runs."""
    fire_rate: float
    """Share of questions whose prompt the gate steered or refused: false alarms, here."""
    fire_low: float
    """Lower end of its 95 % interval (Wilson)."""
    fire_high: float
    released: float
    """Share of questions whose prompt was released."""
    fired_by: Mapping[str, int]
    """Questions on which it fired, by reason: a score, or a row of the policy table."""
    languages: Mapping[str, int]
    """Questions by the language under which they were decided; `und` where none was named."""

    @property
    def is_non_inferior(self) -> bool:
        """True when the interval excludes a loss of more than `MARGIN` points."""
        return self.low > -MARGIN


def answered(
    task: str,
    untouched: Sequence[Mapping[str, Any]],
    gated: Sequence[Mapping[str, Any]],
    verdicts: Mapping[str, Verdict],
    too_long: Iterable[str],
) -> tuple[list[Answered], int]:
    """Pair two runs' samples, and count the questions that were too long.

    A question whose prompt the policy refuses counts as answered wrong.

    Args:
        task: the task's name.
        untouched: samples as the harness logs them.
        gated: of the other run.
        verdicts: by prompt.
        too_long: prompts that were not answered.

    Raises:
        ValueError: the runs answered different questions, or the task has no accuracy.
    """
    left_out = set(too_long)
    before, after = _by_question(untouched), _by_question(gated)
    if before.keys() != after.keys():
        raise ValueError(f"the runs of `{task}` answered different questions; run both anew")
    metric = _metric(task, untouched)
    rows = []
    n_too_long = 0
    for question, one in before.items():
        two, prompt = after[question], one["arguments"][0][0]
        if prompt in left_out:
            n_too_long += 1
            continue
        verdict = verdicts[prompt]
        refused = verdict.action is Action.REFUSE
        rows.append(
            Answered(
                task=task,
                right_untouched=bool(one[metric]),
                right_gated=bool(two[metric]) and not refused,
                same_choice=_choice(one) == _choice(two) and not refused,
                verdict=verdict,
            )
        )
    return rows, n_too_long


def compare(task: str, rows: Sequence[Answered], *, n_too_long: int = 0) -> Comparison:
    """Accuracy, agreement and fire rate over answered questions.

    Raises:
        ValueError: there are none.
    """
    if not rows:
        raise ValueError(
            f"no question of `{task}` fits the context ({n_too_long} are too long); use fewer "
            "examples in the prompt, or a backbone with a longer context"
        )
    pairs = paired([r.right_gated for r in rows], [r.right_untouched for r in rows])
    interval = paired_difference(pairs)
    n = len(rows)
    fired = [r.verdict for r in rows if r.verdict.action in (Action.STEER, Action.REFUSE)]
    fires = rate_interval(len(fired), n)
    gated, untouched = pairs.both + pairs.only_first, pairs.both + pairs.only_second
    return Comparison(
        task=task,
        n=n,
        n_too_long=n_too_long,
        untouched=100 * untouched / n,
        gated=100 * gated / n,
        difference=100 * (gated - untouched) / n,
        low=100 * interval.low,
        high=100 * interval.high,
        p=mcnemar_p(pairs),
        agreement=100 * sum(r.same_choice for r in rows) / n,
        fire_rate=100 * len(fired) / n,
        fire_low=100 * fires.low,
        fire_high=100 * fires.high,
        released=100 * sum(r.verdict.action is Action.RELEASE for r in rows) / n,
        fired_by=dict(Counter(verdict.reason.value for verdict in fired).most_common()),
        languages=dict(Counter(r.verdict.language or "und" for r in rows).most_common()),
    )


def _by_question(samples: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """The first sample of each question; further ones are the same answer filtered otherwise."""
    found: dict[int, Mapping[str, Any]] = {}
    for sample in samples:
        found.setdefault(sample["doc_id"], sample)
    return found


def _metric(task: str, samples: Sequence[Mapping[str, Any]]) -> str:
    for name in _METRICS:
        if samples and all(name in sample for sample in samples):
            if any(float(sample[name]) not in (0.0, 1.0) for sample in samples):
                raise ValueError(f"`{name}` of `{task}` is no right or wrong; choose another task")
            return name
    raise ValueError(f"`{task}` counts none of {', '.join(_METRICS)}; choose another task")


def _choice(sample: Mapping[str, Any]) -> object:
    """What was chosen: the place of the likeliest answer, or the generated text."""
    answers = sample["filtered_resps"]
    if all(isinstance(answer, (tuple, list)) for answer in answers):
        return max(range(len(answers)), key=lambda i: answers[i][0])
    return tuple(answers)
