"""The ideal: the same tokens at full batch, without a pad, a gate, a queue or a copy.

What is run, and timed as one:

- Prefill: the load's prompt tokens, in passes of `max_rows` rows of equal length, the mean length,
  so that nothing is padded; keys and values are made, and the head runs on the last token alone.
- Decode: as many (row, step) pairs as the load needs, one for each token of an answer after the
  first, in steps of `max_rows` rows, all of them always full. Every row sees as many columns as a
  row of the load does in the mean over those pairs. The new column is written over the last one in
  place: no cache is ever made longer, cut or moved.
- Each pass ends with the most probable tokens on the host, as an answer that streams needs them.

The last pass of each kind may have fewer rows. It is a limit of the model's code on this machine
and of this number of rows, not of the hardware: no engine over the same forward pass that decodes
that many rows can be faster, but for what longer prompts cost more than in proportion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from transformers import DynamicCache

from benchmarks.cache_argument import cache_argument
from benchmarks.serving.load import Load
from benchmarks.serving.peers.own_clock import BY_ITSELF, Running
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.timings import Timings
from services.backbone.load import Backbone

_Pass = Callable[[], object]


class Ideal:
    """Answers nothing, and costs what answering must cost at least."""

    def __init__(self, setting: Setting, running: Running = BY_ITSELF) -> None:
        """Take the model."""
        self._backbone = setting.backbone
        self._max_rows = setting.max_rows
        self._cache_argument = cache_argument(setting.backbone.model)
        self._running = running

    def run(self, load: Load) -> Timings:
        """As a `Peer` does, but without times of single requests.

        Raises:
            ValueError: not all requests are there at the beginning.
        """
        prompts, answers = self._passes(load)
        now = self._running.now
        started = now()
        for each in prompts:  # in this thread: to hand each to another costs what an ideal does not
            each()
        prompts_s = now() - started
        for each in answers:
            each()
        return Timings(now() - started, load.useful_tokens, prompts_s=prompts_s)

    async def timed(self, load: Load) -> Timings:
        """`run` a pass at a time, beside whatever else is on the event loop."""
        loop, thread = asyncio.get_running_loop(), self._running.thread
        prompts, answers = await loop.run_in_executor(thread, self._passes, load)
        now = self._running.now
        started = now()
        for each in prompts:
            await loop.run_in_executor(thread, each)
        prompts_s = now() - started
        for each in answers:
            await loop.run_in_executor(thread, each)
        return Timings(now() - started, load.useful_tokens, prompts_s=prompts_s)

    def close(self) -> None:
        """Nothing is held."""

    def _passes(self, load: Load) -> tuple[list[_Pass], list[_Pass]]:
        """All that is to be timed, prompts and answers; what they read is there."""
        if load.clients is not None or any(job.arrival_s > 0 for job in load.jobs):
            raise ValueError("the ideal is that of requests that all come at once")
        length, columns = mean_prompt(load), context_of(load)
        cache = self._full(columns)
        prefills: list[_Pass] = [
            partial(self._prefill, rows, length)
            for rows in _full_batches(len(load.jobs), self._max_rows)
        ]
        decodes: list[_Pass] = [
            partial(self._decode, rows, columns, cache)
            for rows in _full_batches(decode_tokens(load), self._max_rows)
        ]
        return prefills, decodes

    def _prefill(self, rows: int, length: int) -> None:
        self._step(rows, length, DynamicCache(), start=0)

    def _decode(self, rows: int, columns: int, cache: FullCache) -> None:
        cache.rows = rows
        self._step(rows, 1, cache, start=columns - 1)

    def _full(self, columns: int) -> FullCache:
        """Keys and values of a full batch, with the shapes that the model itself makes."""
        cache = DynamicCache()
        self._step(self._max_rows, columns, cache, start=0)
        return FullCache([(layer.keys, layer.values) for layer in cache.layers])

    @torch.inference_mode()
    def _step(self, rows: int, tokens: int, cache: DynamicCache, *, start: int) -> list[int]:
        backbone: Backbone = self._backbone
        device = backbone.device
        position_ids = torch.arange(start, start + tokens, device=device)
        output = backbone.model(
            input_ids=torch.full((rows, tokens), backbone.pad_id, device=device),
            attention_mask=self._mask(rows, start + tokens) if start else None,
            position_ids=position_ids.expand(rows, -1),
            use_cache=True,
            # by an index: the slice that `1` means is not contiguous, and torch 2.13 on a CPU
            # then copies tied bfloat16 weights of the head for each row
            logits_to_keep=torch.tensor([tokens - 1], device=device),
            **{self._cache_argument: cache},
        )
        chosen: list[int] = output.logits[:, -1].argmax(dim=-1).tolist()
        return chosen

    def _mask(self, rows: int, columns: int) -> Tensor:
        """Hides nothing. Without one, grouped heads in bfloat16 are slow (torch 2.13 on a CPU)."""
        backbone = self._backbone
        shape = (rows, 1, 1, columns)
        return torch.zeros(shape, dtype=backbone.model.dtype, device=backbone.device)


class FullCache(DynamicCache):  # type: ignore[misc]
    """Keys and values that stay as long as they are: a new column takes the last one's place."""

    def __init__(self, layers: list[tuple[Tensor, Tensor]]) -> None:
        """Hold (rows, heads, columns, d_head) keys and values of each layer."""
        super().__init__()
        self._held = layers
        self.rows = layers[0][0].shape[0]
        """How many of the rows take part."""

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: object, **kw: object
    ) -> tuple[Tensor, Tensor]:
        """As a cache does."""
        keys, values = (held[: self.rows] for held in self._held[layer_idx])
        keys[:, :, -1:], values[:, :, -1:] = key_states, value_states
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns before the new one."""
        return int(self._held[layer_idx][0].shape[2]) - 1

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Columns with the new one, and where they begin."""
        return int(self._held[layer_idx][0].shape[2]), 0


def mean_prompt(load: Load) -> int:
    """Mean tokens of a prompt, rounded."""
    return round(sum(len(job.prompt_ids) for job in load.jobs) / len(load.jobs))


def decode_tokens(load: Load) -> int:
    """(row, step) pairs: tokens of answers without the first ones, which prefills give."""
    return sum(job.n_output - 1 for job in load.jobs)


def context_of(load: Load) -> int:
    """Mean columns that a new token sees, itself among them, over all pairs; rounded."""
    columns = sum(
        (job.n_output - 1) * (len(job.prompt_ids) + job.n_output / 2) for job in load.jobs
    )
    return round(columns / max(decode_tokens(load), 1))


def _full_batches(n: int, size: int) -> Iterator[int]:
    while n > 0:
        yield min(n, size)
        n -= size
