"""All ways to score prompts give the same scores."""

from __future__ import annotations

import pytest

from benchmarks.serving.checking import OURS, checkers_of
from benchmarks.serving.load import Job
from benchmarks.serving.peers.checkers import Traced, WholeModel, nnsight_is_there
from benchmarks.serving.peers.peer import Setting


def scores(setting: Setting, jobs: tuple[Job, ...]) -> dict[str, list[float]]:
    prompts = [job.prompt for job in jobs] * 3  # more than a batch
    return {name: each.scores(prompts) for name, each in checkers_of(setting).items()}


def test_every_checker_gives_the_gate_s_scores(setting: Setting, jobs: tuple[Job, ...]) -> None:
    found = scores(setting, jobs)
    assert len(found) == (4 if nnsight_is_there() else 2)
    assert len({round(each, 2) for each in found[OURS]}) == len(jobs)
    for each in found.values():
        assert each == pytest.approx(found[OURS], abs=1e-4)


def test_the_gate_loads_no_more_blocks_than_it_reads_and_the_others_run_all(
    setting: Setting, jobs: tuple[Job, ...]
) -> None:
    ran: list[int] = []
    last = setting.backbone.blocks[-1]
    hook = last.register_forward_hook(lambda module, args, output: ran.append(1))
    checkers_of(setting)[OURS].scores([jobs[0].prompt])
    assert not ran
    WholeModel(setting).scores([jobs[0].prompt])
    hook.remove()
    assert ran


@pytest.mark.skipif(nnsight_is_there(), reason="nnsight is installed")
def test_without_nnsight_there_is_no_row_of_it(setting: Setting) -> None:
    assert not any("nnsight" in name for name in checkers_of(setting))
    with pytest.raises(ModuleNotFoundError):
        Traced(setting)
