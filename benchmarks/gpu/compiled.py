"""A decode step: ours, and a static cache with or without compiled code and interventions.

python -m benchmarks.gpu.compiled [--quick] [--models NAMES] [--batches SIZES] [--json FILE] ...

The static cache is transformers' own: keys and values of a fixed size. On an accelerator its step
is also compiled with `torch.compile` into CUDA graphs, plain, and with an intervention at one block
whose coefficients are buffers, so that a graph that was recorded once serves every verdict:
h + s·v + c·(h·v)·v. Beside them stands our own step for as many rows and columns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor, nn
from transformers import StaticCache

from benchmarks.cache_argument import cache_argument
from benchmarks.gpu import shapes
from benchmarks.gpu.clock import seconds
from benchmarks.gpu.options import (
    NOT_RUN,
    add_options,
    batches_of,
    names_of,
    repeats_of,
    tokens_of,
)
from benchmarks.gpu.prefill import prompts_of
from benchmarks.report import Benchmark, Found
from benchmarks.serving.artefacts import random_readout
from benchmarks.serving.spread import ratio_of, spread_of
from benchmarks.serving.tables import ratio_table
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.decode import Batch
from services.generation.row import Row
from services.generation.treatment import Treatment

OURS, STATIC = "our step, every row steered", "static cache"
COMPILED, INTERVENED = "static cache, compiled", "static cache, compiled, every row steered"
_ROOM = 64
"""Tokens that every row may still get."""


class Intervention(nn.Module):
    """An edit of a block's output whose numbers are buffers: no graph is recorded anew for them."""

    shift: Tensor
    scale: Tensor
    direction: Tensor

    def __init__(self, direction: Tensor, n_rows: int) -> None:
        """Move nothing yet.

        Args:
            direction: (d_model,), unit norm.
            n_rows: rows of every step.
        """
        super().__init__()
        self.register_buffer("direction", direction)
        for name in ("shift", "scale"):
            self.register_buffer(name, torch.zeros(n_rows, 1, 1, device=direction.device))

    def forward(self, module: nn.Module, args: object, output: Tensor) -> Tensor:
        """As a forward hook."""
        wide = output.float()
        along = wide @ self.direction
        moved = wide + (self.shift + self.scale * along.unsqueeze(-1)) * self.direction
        return moved.to(output.dtype)


class StaticStep:
    """One token for every row, over keys and values of fixed size."""

    def __init__(self, backbone: Backbone, n_rows: int, n_columns: int) -> None:
        """Fill the cache with a prompt of so many columns."""
        self._model, device = backbone.model, backbone.device
        self._cache_argument = cache_argument(backbone.model)
        self._cache = StaticCache(config=backbone.model.config, max_cache_len=n_columns + _ROOM)
        ids = torch.full((n_rows, n_columns), 11, device=device)
        with torch.inference_mode():
            self._model(input_ids=ids, logits_to_keep=1, **{self._cache_argument: self._cache})
        self.tokens = torch.full((n_rows, 1), 12, device=device)
        self.positions = torch.full((n_rows, 1), n_columns, device=device)
        self._call: Callable[..., Tensor] = self._forward

    def compile(self) -> None:
        """Into CUDA graphs, where there is CUDA."""
        self._call = torch.compile(self._forward, mode="reduce-overhead", fullgraph=False)

    @torch.inference_mode()
    def __call__(self) -> list[int]:
        """The most probable tokens, on the host."""
        return self._call(self.tokens, self.positions).tolist()

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        output = self._model(
            input_ids=tokens,
            position_ids=positions,
            logits_to_keep=1,
            **{self._cache_argument: self._cache},
        )
        logits: Tensor = output.logits
        return logits[:, -1].argmax(dim=-1)


def measure(options: argparse.Namespace) -> Found:
    """Measure every model that was asked for."""
    tables, results = [], {}
    for name in names_of(options):
        print(f"{name} on {options.device}", flush=True)
        backbone = shapes.make(name, options)
        found = {batch: _batch(name, backbone, batch, options) for batch in batches_of(options)}
        tables += [_table(name, batch, each) for batch, each in found.items()]
        results[name] = {
            f"{batch}": {step: asdict(spread_of(values)) for step, values in each.items()}
            for batch, each in found.items()
        }
        del backbone
    tables += [] if shapes.is_accelerated(options) else [NOT_RUN]
    return Found({"models": results}, "\n\n".join(tables), (), seed=options.seed)


def _batch(
    name: str, backbone: Backbone, n_rows: int, options: argparse.Namespace
) -> Mapping[str, list[float]]:
    """Seconds of a step, by how it is made."""
    timed = partial(seconds, device=backbone.device, repeats=min(repeats_of(options), _ROOM // 2))
    n_columns = tokens_of(options)
    found = {OURS: timed(_our_step(name, backbone, n_rows, n_columns))}
    found[STATIC] = timed(StaticStep(backbone, n_rows, n_columns))
    if shapes.is_accelerated(options):
        step = StaticStep(backbone, n_rows, n_columns)
        step.compile()
        found[COMPILED] = timed(step)
    layer = shapes.layer_read(name, backbone)
    direction = random_readout(backbone, layer=layer).steering.direction.to(backbone.device)
    intervention = Intervention(direction, n_rows)
    intervention.shift.fill_(1.0)
    hook = backbone.blocks[layer].register_forward_hook(intervention)
    try:
        step = StaticStep(backbone, n_rows, n_columns)
        if shapes.is_accelerated(options):
            step.compile()
            found[INTERVENED] = timed(step)
        else:
            found[f"{STATIC}, every row steered"] = timed(step)
    finally:
        hook.remove()
    return found


def _our_step(name: str, backbone: Backbone, n_rows: int, n_columns: int) -> Callable[[], object]:
    """The engine's own, with rows that have just got their first token."""
    steering = random_readout(backbone, layer=shapes.layer_read(name, backbone)).steering
    treatment = Treatment(Action.STEER, steering)
    batch = Batch(backbone, chunk_tokens=n_rows * n_columns)
    batch.admit(
        [
            Row(
                each.token_ids,
                treatment,
                Sampling(max_tokens=_ROOM),
                tokenizer=backbone.tokenizer,
                ends=frozenset(),
            )
            for each in prompts_of(backbone, n_rows, n_columns)
        ]
    )
    return batch.advance


def _table(name: str, n_rows: int, found: Mapping[str, list[float]]) -> str:
    rows = [
        (
            step,
            spread_of([each * 1e3 for each in values]),
            ratio_of(found[OURS], values),
        )
        for step, values in found.items()
    ]
    return ratio_table([f"{name}, a decode step of {n_rows} rows", "ms", "ours × it"], rows)


BENCHMARK = Benchmark(__package__, "compiled", __doc__, measure, add_options)


if __name__ == "__main__":
    BENCHMARK.main()
