"""Rows, a plain synchronous decode loop, and a gate in front of the model, for tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.decode import Batch
from services.generation.intervention import add
from services.generation.monitor import Monitor
from services.generation.row import Row
from services.generation.treatment import UNTOUCHED, Move, Treatment
from services.readout.bundle import (
    Readout,
    Release,
    ReleaseForm,
    Scope,
    SteerForm,
    SteeringStatistics,
)

WIDTH = 4
"""Of a residual that only looks at where it is moved."""

PROMPTS = (
    "how do I bake bread at home",
    "hi",
    "jinsi ya kuoka mkate nyumbani bila tanuri",
    "как испечь хлеб дома",
    "a b c d e f g",
    "မုန့်ဖုတ်နည်း",
)


def axis(i: int) -> torch.Tensor:
    return torch.eye(WIDTH)[i]


def a_row(
    backbone: Backbone,
    prompt: str = PROMPTS[0],
    treatment: Treatment = UNTOUCHED,
    *,
    ends: frozenset[int] = frozenset(),
    monitor: Monitor | None = None,
    **sampling: object,
) -> Row:
    return Row(
        encode(backbone.tokenizer, prompt),
        treatment,
        Sampling(**{"max_tokens": 24} | sampling),
        tokenizer=backbone.tokenizer,
        ends=ends,
        monitor=monitor,
    )


def mixed(*readouts: Readout) -> list[Treatment]:
    """Every action by every readout, and an untouched row between."""
    acting = [
        Treatment(action, readout.steering)
        for readout in readouts
        for action in (Action.STEER, Action.RELEASE)
    ]
    return [UNTOUCHED, *acting]


def every_form(readout: Readout) -> list[Treatment]:
    """Every form of steering and releasing in every scope, and moves at several blocks at once."""
    steering = replace(readout.steering, coefficient=20.0)
    own = steering.direction.roll(1)
    statistics = SteeringStatistics(target=20.0, centre=-9.0, gap=29.0)
    to_target = replace(steering, form=SteerForm.TO_TARGET, coefficient=1.0, statistics=statistics)
    releases = [
        Release(scope=scope, form=form, layer=1, direction=own, centre=-9.0)
        for form in (ReleaseForm.ABLATE, ReleaseForm.AFFINE, ReleaseForm.SURGICAL)
        for scope in (Scope.ALL, Scope.LAST_THEN_DECODE)
    ]
    return [
        *(Treatment(Action.STEER, replace(steering, scope=scope)) for scope in Scope),
        *(Treatment(Action.STEER, replace(to_target, scope=scope)) for scope in Scope),
        *(Treatment(Action.RELEASE, replace(steering, release=each)) for each in releases),
        Treatment(Action.STEER, own=_at_blocks(own, (0, 1, 2, 3), Scope.PROMPT)),
        Treatment(Action.STEER, own=_at_blocks(own, (1, 2, 2), Scope.DECODE)),
    ]


def _at_blocks(direction: torch.Tensor, blocks: Sequence[int], scope: Scope) -> tuple[Move, ...]:
    return tuple(Move(block, direction, add(5.0), scope) for block in blocks)


def tokens_of(batch: Batch, joins: Sequence[Sequence[Row]]) -> dict[Row, list[int]]:
    """Run to the end; `joins[i]` joins before step i. Rows leave as soon as they end."""
    tokens: dict[Row, list[int]] = {row: [] for rows in joins for row in rows}
    queue = list(joins)
    while queue or batch.rows or batch.next_to_enter() or batch.next_to_look_at():
        batch.enter(queue.pop(0) if queue else [])
        for row, token in (batch.step() | batch.look()).items():
            assert isinstance(token, int)
            tokens[row].append(token)
            row.accept(token)
        batch.drop([row for row in batch.rows if row.finish is not None])
    return tokens


def tokens_alone(backbone: Backbone, row: Row) -> list[int]:
    return tokens_of(Batch(backbone), [[row]])[row]


class Gate:
    """Holds up, breaks or spoils the packed passes of a model; counts their rows and tokens."""

    def __init__(self, backbone: Backbone) -> None:
        self.n_rows: list[int] = []
        self.n_tokens: list[int] = []
        self.is_open = threading.Event()
        self.is_open.set()
        self.entered = threading.Event()
        self.fails_at_rows: set[int] = set()
        self._handle = backbone.blocks[0].register_forward_hook(self._pass, with_kwargs=True)

    def _pass(
        self, module: nn.Module, args: object, kwargs: dict[str, Any], output: torch.Tensor
    ) -> None:
        packed = kwargs.get("packed")
        self.n_rows.append(packed.n_rows if packed else output.shape[0])
        self.n_tokens.append(output.shape[1])
        self.entered.set()
        if not self.is_open.wait(5):
            raise TimeoutError("the test forgot to open the gate")
        if self.n_rows[-1] in self.fails_at_rows:
            raise RuntimeError("secret out of memory")

    def remove(self) -> None:
        self._handle.remove()
