"""While the blocks of a pass run, nothing comes from the host or waits for it.

Played on PyTorch's `meta` device, which computes no number: whoever reads one back fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from services.backbone.load import Backbone
from services.generation.deciding import Decision
from services.generation.monitor import TokenScores, monitor_of
from services.generation.packed import Chunk, PackedPass
from services.generation.row import Row
from services.generation.slabs import Held, Slabs
from services.generation.treatment import UNTOUCHED
from tests.unit.services.generation.deciders import Decider, choices_of
from tests.unit.services.generation.rows import a_row, every_form
from tests.unit.services.tiny import tiny_readout

META = torch.device("meta")


class Transfers(TorchDispatchMode):
    """Counts copies between devices while blocks run."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks_run = False
        self.n = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        given = [each for each in args if isinstance(each, torch.Tensor)]
        made = found if isinstance(found, torch.Tensor) else None
        if self.blocks_run and made is not None and any(e.device != made.device for e in given):
            self.n += 1
        return found


@contextmanager
def counted(backbone: Backbone) -> Iterator[Transfers]:
    seen = Transfers()

    def says(runs: bool) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            seen.blocks_run = runs

        return hook

    handles = [
        backbone.blocks[0].register_forward_pre_hook(says(True)),
        backbone.model.register_forward_hook(says(False)),
    ]
    try:
        with seen, torch.inference_mode():
            yield seen
    finally:
        for handle in handles:
            handle.remove()


@pytest.fixture
def elsewhere(qwen2: Backbone) -> Backbone:
    model = deepcopy(qwen2.model).to(META)
    return replace(qwen2, model=model, blocks=model.model.layers, device=META)


def run(backbone: Backbone, rows: Sequence[Row], slabs: Slabs | None = None) -> int:
    """One pass over whole prompts, beside rows that decode where there are slabs.

    Returns:
        How often something came from the host or went there. The rows decode in the next pass.
    """
    chunks = [Chunk(row, Held(len(row.prompt_ids)), 0, len(row.prompt_ids)) for row in rows]
    groups: dict[int, list[Row]] = {}
    for row in rows:
        if row.is_undecided:
            groups.setdefault(id(row.undecided.scorer), []).append(row)
    decisions = {Decision(backbone, group): group for group in groups.values()}
    packed = PackedPass(backbone, slabs, chunks)
    edits = packed.edits(decisions)
    watching = [row.watch.monitor for row in packed.decoding if row.watch is not None]
    watched = TokenScores(watching, backbone) if watching else None
    with counted(backbone) as seen:
        packed.run(edits, decisions, watched)
    if slabs is not None:
        slabs.add([(chunk.row, chunk.held) for chunk in chunks])
    return seen.n


@pytest.mark.parametrize("reading", ["last", "instruction", "mean"])
def test_a_prefill_that_decides_and_acts_neither_waits_for_the_host_nor_asks_it(
    qwen2: Backbone, elsewhere: Backbone, reading: str
):
    decider = Decider(qwen2, tiny_readout(qwen2, reading=reading))
    decider.backbone = elsewhere  # what it has scored on the CPU
    forms = every_form(decider.readout)
    others = [*forms[1:], UNTOUCHED]
    pairs = zip(forms, others, strict=True)
    rows = [decider.row(i % 6, choices_of(*pair)) for i, pair in enumerate(pairs)]
    run(elsewhere, rows)  # the readout's weights come with the first
    assert run(elsewhere, rows) == 0


def test_nor_does_one_over_rows_that_are_decided(qwen2: Backbone, elsewhere: Backbone):
    rows = [a_row(qwen2, treatment=form) for form in every_form(tiny_readout(qwen2))]
    assert run(elsewhere, rows) == 0


def test_nor_does_a_step_of_rows_that_decode_and_are_watched(qwen2: Backbone, elsewhere: Backbone):
    readout = tiny_readout(qwen2)
    monitor = monitor_of(readout, threshold=1e9, every=4)
    forms, slabs = every_form(readout), Slabs()
    rows = [a_row(qwen2, treatment=form, monitor=monitor) for form in forms]
    run(elsewhere, rows, slabs)
    for row in rows:
        row.accept(11)
    assert run(elsewhere, [a_row(qwen2)], slabs) == 0
    assert len(slabs.rows) == len(forms) + 1


def test_a_copy_from_the_host_between_blocks_is_seen(qwen2: Backbone, elsewhere: Backbone):
    weight = torch.ones(elsewhere.identity.d_model)
    elsewhere.blocks[1].register_forward_hook(
        lambda module, args, output: output + weight.to(output.device)
    )
    assert run(elsewhere, [a_row(qwen2)]) == 1
