"""Ways to read all residuals of many prompts: batches of like length, arrival order, one by one.

All of them read every block in all three readings, as `recal collect` does, by the extractor that
serves; they differ in which prompts share a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType

import torch

from recal.collect import collect
from recal.prompts import Prompt
from services.backbone.buckets import tokens_of_a_pass
from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone
from services.gate.extract import read_together
from services.readout.place import READINGS, Place

Collector = Callable[[Backbone, Sequence[Prompt]], torch.Tensor]
"""(n, layers, readings, d_model) float32, in the prompts' order."""


def ours(backbone: Backbone, prompts: Sequence[Prompt]) -> torch.Tensor:
    """What `recal collect` does, into memory."""
    found = collect(backbone, prompts).residuals
    return torch.as_tensor(found)


def arrival(backbone: Backbone, prompts: Sequence[Prompt]) -> torch.Tensor:
    """Batches as prompts come, each as large as ours may be."""
    most = tokens_of_a_pass(backbone.device)
    return _in_batches(backbone, prompts, lambda lengths: _consecutive(lengths, most))


def one_by_one(backbone: Backbone, prompts: Sequence[Prompt]) -> torch.Tensor:
    """A pass for each prompt."""
    return _in_batches(backbone, prompts, lambda lengths: ([row] for row in range(len(lengths))))


def _in_batches(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    batches: Callable[[Sequence[int]], Iterator[list[int]]],
) -> torch.Tensor:
    layers = range(len(backbone.blocks))
    places = [Place(layer, reading) for layer, reading in product(layers, READINGS)]
    encoded = [encode_prompt(backbone.tokenizer, prompt.text) for prompt in prompts]
    shape = (len(prompts), len(places), backbone.identity.d_model)
    found = torch.empty(shape, dtype=torch.float32)
    for rows in batches([len(each.token_ids) for each in encoded]):
        found[rows] = read_together(backbone, [encoded[row] for row in rows], places)
    return found.reshape(len(prompts), len(layers), len(READINGS), -1)


def _consecutive(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Rows in their order, as many as fit when all are padded to the longest."""
    batch: list[int] = []
    for row, length in enumerate(lengths):
        longest = max([length, *(lengths[each] for each in batch)])
        if batch and longest * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


OURS, ARRIVAL, ONE_BY_ONE = "recal collect", "batches in arrival order", "one by one"
COLLECTORS: Mapping[str, Collector] = MappingProxyType(
    {OURS: ours, ARRIVAL: arrival, ONE_BY_ONE: one_by_one}
)
