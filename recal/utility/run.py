"""Tasks of the harness, answered untouched and gated by the same backbone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lm_eval.api.task import Task
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from recal.utility.assembly import Line
from recal.utility.comparison import Answered, Comparison, answered, compare
from recal.utility.model import RecalModel, Report

ALL_TASKS = "all"
_SEED = 1234

Load = Callable[[], Sequence[str | Task]]
"""Gives the tasks anew: the harness keeps answers on them."""


@dataclass(frozen=True)
class UtilityPlan:
    """What is run."""

    n_examples: int | None = None
    """Examples in each prompt; None: as the task says."""
    limit: int | None = None
    """Questions of each task; None: all."""

    def __post_init__(self) -> None:
        if self.n_examples is not None and self.n_examples < 0:
            raise ValueError(f"`n_examples` is {self.n_examples}; give at least 0")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"`limit` is {self.limit}; give at least 1")


@dataclass(frozen=True)
class UtilityReport:
    """What the gate costs on ordinary tasks, and what it was measured with."""

    tasks: tuple[Comparison, ...]
    together: Comparison
    backbone: str
    readout: str
    calibrations: tuple[str, ...]
    n_examples: int | None
    limit: int | None
    notice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a file."""
        return asdict(self) | {"is_non_inferior": self.together.is_non_inferior}


def run(
    line: Line,
    load: Load,
    plan: UtilityPlan,
    *,
    report: Report = lambda step, done, total: None,
) -> UtilityReport:
    """Answer every task twice and compare, question by question.

    Args:
        line: backbone and gate.
        load: gives names of the harness's tasks, or tasks; called once for each run.
        plan: how much is run.
        report: called as work is done.

    Raises:
        ValueError: a task is unknown, has no accuracy, or none of its questions fits the context.
    """
    # its own lines say what is run, and at DEBUG what is asked: prompts are in no log of ours
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    untouched = RecalModel(line.answers, None, report=_named("untouched", report))
    gated = RecalModel(line.answers, line.gate, report=_named("gated", report))
    manager = _manager(load())
    before, after = (_samples(m, load(), plan, manager) for m in (untouched, gated))
    too_long = untouched.too_long | gated.too_long
    everything: list[Answered] = []
    found, n_left_out = [], 0
    for task, samples in before.items():
        rows, n_too_long = answered(task, samples, after[task], gated.verdicts, too_long)
        found.append(compare(task, rows, n_too_long=n_too_long))
        everything += rows
        n_left_out += n_too_long
    readout = line.bundle.readout
    return UtilityReport(
        tasks=tuple(found),
        together=compare(ALL_TASKS, everything, n_too_long=n_left_out),
        backbone=readout.backbone.name,
        readout=readout.version or readout.digest[:12],
        calibrations=tuple(sorted(line.bundle.calibrations)),
        n_examples=plan.n_examples,
        limit=plan.limit,
        notice=line.notice,
    )


def _samples(
    model: RecalModel, tasks: Sequence[str | Task], plan: UtilityPlan, manager: TaskManager
) -> dict[str, list[dict[str, Any]]]:
    try:
        loaded = manager.load(list(tasks))
    except KeyError as error:
        raise ValueError(
            f"the harness has no task {error}; `lm-eval ls tasks` lists them"
        ) from None
    for task in loaded["tasks"].values():
        _set_examples(task, plan.n_examples)
    results = evaluate(
        lm=model, task_dict=loaded, limit=plan.limit, bootstrap_iters=0, log_samples=True
    )
    samples: dict[str, list[dict[str, Any]]] = results["samples"]
    return samples


def _manager(tasks: Sequence[str | Task]) -> TaskManager:
    # the index of thousands of tasks takes many seconds, and tasks made here are not in it
    return TaskManager(include_defaults=any(isinstance(task, str) for task in tasks))


def _set_examples(task: Task, n_examples: int | None) -> None:
    """As the harness does it: a task that sets 0 itself keeps it."""
    own = task.get_config("num_fewshot")
    if own != 0 and (n_examples is not None or own is None):
        task.set_config(key="num_fewshot", value=n_examples or 0)
    task.set_fewshot_seed(seed=_SEED)


def _named(run_name: str, report: Report) -> Report:
    return lambda step, done, total: report(f"{run_name}: {step}", done, total)
