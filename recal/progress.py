"""Progress on the terminal: what is being counted, how far it is, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def counting(label: str, *, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar for one long step.

    Args:
        label: what is counted.
        console: where; the terminal by default.

    Yields:
        To be called with how many are done and how many there are.
    """
    with Progress(*_columns(), console=console) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def counting_steps(*, console: Console | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each of several steps, which comes when the step begins.

    Yields:
        To be called with a step's name, how many of it are done and how many there are.
    """
    with Progress(*_columns(), console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield report


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
