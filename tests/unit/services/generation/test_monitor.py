"""What is read of an answer while it is written: by which weights, of which tokens, of whom."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from services.backbone.hooks import capture
from services.backbone.load import Backbone
from services.domain import Action, MonitorStop
from services.errors import ArtefactRefused
from services.generation.decode import Batch
from services.generation.monitor import Monitor, Monitors, TokenScores, Watch, monitor_of
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Readout
from services.readout.linear import LinearReadout, ReadoutPart
from services.readout.place import Place
from tests.unit.services.generation.deciders import Decider, choices_of
from tests.unit.services.generation.rows import PROMPTS, Gate, a_row, tokens_of
from tests.unit.services.tiny import D_MODEL, tiny_readout

NEVER = math.inf


def of_places(backbone: Backbone, *places: Place, seed: int = 7) -> Readout:
    """A readout of several places, with shares of their own."""
    weights = torch.randn(len(places), D_MODEL, generator=torch.Generator().manual_seed(seed))
    parts = tuple(
        ReadoutPart(place, LinearReadout(weight, 0.5), torch.eye(D_MODEL, 1), share=0.25 + index)
        for index, (place, weight) in enumerate(zip(places, weights, strict=True))
    )
    return replace(tiny_readout(backbone), parts=parts, digest=f"digest {seed}")


def several(backbone: Backbone) -> Readout:
    """Two blocks, one of them in two readings."""
    return of_places(backbone, Place(0, "last"), Place(2, "mean"), Place(2, "instruction"))


def by_the_plain_model(
    backbone: Backbone, readout: Readout, row: Row, tokens: Sequence[int]
) -> float:
    """The readout's score of the mean residual of all tokens of an answer but its last.

    That one is never run.
    """
    ids = torch.tensor([[*row.prompt_ids, *tokens[:-1]]])
    with torch.no_grad(), capture(backbone.blocks, readout.layers) as found:
        backbone.model(ids)
    read = [found[layer][0, len(row.prompt_ids) :].mean(dim=0) for layer, _ in readout.places]
    return float(readout.score(torch.stack(read)))


def test_the_running_score_is_the_readouts_score_of_the_answers_mean_residual(backbone: Backbone):
    readout = several(backbone)
    monitor = monitor_of(readout, threshold=NEVER, every=4)
    rows = [a_row(backbone, p, monitor=monitor, max_tokens=9 + i) for i, p in enumerate(PROMPTS)]
    joins = [[rows[0]], rows[1:3], rows[3:]]
    tokens = tokens_of(Batch(backbone, chunk_tokens=11), joins)
    for row in rows:
        assert row.watch is not None
        assert row.watch.n_read == len(tokens[row]) - 1
        expected = by_the_plain_model(backbone, readout, row, tokens[row])
        assert row.watch.running == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_rows_of_several_readouts_and_rows_that_nobody_looks_at_share_a_batch(backbone: Backbone):
    def asked() -> list[Row]:
        monitors = [
            monitor_of(readout, threshold=NEVER, every=3)
            for readout in (several(backbone), of_places(backbone, Place(3, "last"), seed=8))
        ]
        given = [monitors[0], None, monitors[1], monitors[0], monitors[1], None]
        return [
            a_row(backbone, prompt, monitor=monitor, max_tokens=8)
            for prompt, monitor in zip(PROMPTS, given, strict=True)
        ]

    together, alone = asked(), asked()
    tokens_of(Batch(backbone), [together[:4], together[4:]])
    for row in alone:
        tokens_of(Batch(backbone), [[row]])
    found = [row.watch and row.watch.running for row in together]
    expected = [row.watch and row.watch.running for row in alone]
    assert found == [each and pytest.approx(each, rel=1e-3, abs=1e-3) for each in expected]
    assert [each is None for each in found] == [False, True, False, False, False, True]


def test_looking_changes_no_bit_of_what_is_written(backbone: Backbone):
    monitor = monitor_of(several(backbone), threshold=NEVER, every=1)

    def logits(given: Monitor | None) -> list[torch.Tensor]:
        found: list[torch.Tensor] = []
        head = backbone.model.get_output_embeddings()
        handle = head.register_forward_hook(lambda module, args, output: found.append(output))
        steered = Treatment(Action.STEER, tiny_readout(backbone).steering)
        rows = [
            a_row(backbone, prompt, treatment, monitor=given, max_tokens=6)
            for prompt, treatment in zip(PROMPTS, [UNTOUCHED, steered] * 3, strict=True)
        ]
        tokens_of(Batch(backbone), [rows])
        handle.remove()
        return found

    watched, alone = logits(monitor), logits(None)
    assert all(torch.equal(*each) for each in zip(watched, alone, strict=True))


def test_no_hook_is_there_where_nobody_is_watched(qwen2: Backbone):
    def hooks_in_passes(monitor: Monitor | None, treatment: Treatment) -> set[int]:
        seen: set[int] = set()
        handle = qwen2.blocks[0].register_forward_pre_hook(
            lambda module, args: seen.add(len(qwen2.blocks[2]._forward_hooks))
        )
        tokens_of(Batch(qwen2), [[a_row(qwen2, treatment=treatment, monitor=monitor)]])
        handle.remove()
        return seen

    monitor = monitor_of(several(qwen2), threshold=NEVER, every=4)
    steered = Treatment(Action.STEER, tiny_readout(qwen2, acts_at=1).steering)
    before = {len(qwen2.blocks[2]._forward_hooks)}
    assert hooks_in_passes(None, UNTOUCHED) == before
    assert hooks_in_passes(monitor, steered) == before
    assert hooks_in_passes(monitor, UNTOUCHED) == {*before, *(n + 1 for n in before)}


def test_untouched_and_released_answers_are_looked_at_and_steered_ones_are_not(qwen2: Backbone):
    readout = tiny_readout(qwen2)
    monitor = monitor_of(readout, threshold=NEVER, every=4)
    acting = [Treatment(action, readout.steering) for action in (Action.STEER, Action.RELEASE)]
    rows = [a_row(qwen2, treatment=each, monitor=monitor) for each in (UNTOUCHED, *acting)]
    assert [row.watch is not None for row in rows] == [True, False, True]


def test_of_rows_that_their_prefill_decides_those_are_looked_at_that_are_not_steered(
    qwen2: Backbone,
):
    readout = tiny_readout(qwen2)
    monitor = monitor_of(readout, threshold=NEVER, every=4)
    decider = Decider(qwen2, readout, monitor)
    acting = [Treatment(action, readout.steering) for action in (Action.STEER, Action.RELEASE)]
    rows = decider.rows(choices_of(*acting))
    assert [row.watch for row in rows] == [None] * len(rows)
    tokens_of(Batch(qwen2, chunk_tokens=20, whole_tokens=60), [rows])
    assert {row.settled for row in rows} == {Action.STEER, Action.NONE, Action.RELEASE}
    for row in rows:
        assert (row.watch is None) is (row.settled is Action.STEER)
        assert row.watch is None or row.watch.n_read == row.n_generated - 1


def test_a_pass_that_fails_is_read_once_when_it_has_run(qwen2: Backbone, gate: Gate):
    monitor = monitor_of(tiny_readout(qwen2, layer=0), threshold=NEVER, every=4)
    row, batch = a_row(qwen2, monitor=monitor), Batch(qwen2)
    row.accept(*batch.admit([row]))
    for _ in range(2):
        gate.fails_at_rows = {1}
        with pytest.raises(RuntimeError, match="out of memory"):
            batch.step()
        gate.fails_at_rows = set()
        row.accept(*batch.advance())
    assert row.watch is not None
    assert row.watch.n_read == 2


def test_a_watch_looks_every_few_tokens_and_remembers_the_highest_running_score(qwen2: Backbone):
    watch = Watch(monitor_of(tiny_readout(qwen2), threshold=2.0, every=2))
    assert (watch.is_due, watch.look(), watch.running) == (False, None, -math.inf)
    due = []
    for score in (1.0, 2.0, -3.0, 1.0):
        watch.read(score)
        due.append(watch.is_due)
        assert watch.look() is None
    assert due == [False, True, False, True]
    assert (watch.running, watch.peak, watch.n_read) == (0.25, 1.5, 4)


def test_an_answer_is_withdrawn_above_the_threshold_and_not_at_it(qwen2: Backbone):
    watch = Watch(monitor_of(tiny_readout(qwen2), threshold=2.0, every=4))
    watch.read(2.0)
    assert watch.look() is None
    watch.read(2.5)
    assert watch.look() is MonitorStop.SCORE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_withdraws_the_answer_however_it_goes_on(
    qwen2: Backbone, bad: float
):
    watch = Watch(monitor_of(tiny_readout(qwen2), threshold=NEVER, every=4))
    for score in (0.0, bad, 0.0):
        watch.read(score)
    assert watch.look() is MonitorStop.NON_FINITE


def test_a_threshold_belongs_to_the_readout_whose_digest_begins_so(qwen2: Backbone):
    first, second = (replace(tiny_readout(qwen2), digest=each * 64) for each in "ab")
    monitors = Monitors({"a" * 12: 1.5}, every=3)
    monitor = monitors.of(first)
    assert (monitor.threshold, monitor.every) == (1.5, 3)
    assert monitors.of(replace(first)) is monitor
    with pytest.raises(ArtefactRefused, match=r"none for readout `tiny@1` \(bbbbbbbbbbbb\)"):
        monitors.of(second)


def test_a_monitor_that_makes_no_sense_is_refused(qwen2: Backbone):
    readout = tiny_readout(qwen2)
    with pytest.raises(ValueError, match="`every` is 0"):
        monitor_of(readout, threshold=1.0, every=0)
    with pytest.raises(ValueError, match="not a number"):
        monitor_of(readout, threshold=math.nan, every=1)
    with pytest.raises(ValueError, match="no row is monitored"):
        TokenScores([None], qwen2)
