"""The continuous batching that transformers brings along, the model untouched.

With prefix sharing off, as it must be where requests are steered, as many rows as ours, and 512
tokens in a step, which was the fastest of 128, 256 and 512 (a prototype on a CPU). Keys and values
have room for all rows at once.
"""

from __future__ import annotations

import copy
import time

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.generation.continuous_batching.requests import GenerationOutput

from benchmarks.serving.load import Job, Load
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.timings import Answered, Timings, timings

_TOKENS_IN_A_STEP = 512
_PAGE = 256
"""Tokens of a page: the configuration's own default."""
_PATIENCE_S = 0.05
"""How long to wait for an answer before looking whether its thread still runs."""


class TransformersBatching:
    """A manager whose thread runs from the beginning to `close`; idle, it waits.

    Its model has a configuration of its own, over the same weights. It writes there how to attend,
    for as long as it lives, and reads it in its thread whenever that comes to it; our engine writes
    there for each pass. Over one configuration its rows once saw one another instead of what they
    had said, and padded `generate` attended to pages that it has not (an eager model).
    """

    def __init__(self, setting: Setting) -> None:
        """Start it."""
        backbone = setting.backbone
        pages = -(-backbone.max_prompt_tokens // _PAGE)
        with torch.inference_mode():  # which its thread takes over
            self._manager = _over_the_same_weights(backbone.model).init_continuous_batching(
                generation_config=GenerationConfig(
                    do_sample=False,
                    pad_token_id=backbone.pad_id,
                    eos_token_id=backbone.model.config.vocab_size,  # which is never chosen
                    max_new_tokens=1,
                ),
                continuous_batching_config=ContinuousBatchingConfig(
                    allow_block_sharing=False,
                    max_requests_per_batch=setting.max_rows,
                    max_batch_tokens=_TOKENS_IN_A_STEP,
                    num_blocks=pages * setting.max_rows,
                ),
            )
            self._manager.start()

    def run(self, load: Load) -> Timings:
        """As a `Peer` does.

        Raises:
            RuntimeError: its thread has ended, or a request failed.
        """
        started = time.perf_counter()
        waiting = list(enumerate(load.jobs))[::-1]
        arrivals: dict[int, float] = {}
        answered: dict[int, Answered] = {}
        while len(answered) < len(load.jobs):
            now = time.perf_counter() - started
            n_open = len(arrivals) - len(answered)
            while waiting and _is_due(load, waiting[-1][1], now, n_open):
                index, job = waiting.pop()
                arrivals[index] = now if load.clients is not None else job.arrival_s
                self._send(index, job)
                n_open += 1
            output = self._next(waiting[-1][1].arrival_s - now if waiting else _PATIENCE_S)
            if output is not None:
                index = int(output.request_id)
                answered[index] = _answered(output, arrivals[index], started)
        return timings([answered[index] for index in range(len(load.jobs))])

    def close(self) -> None:
        """Stop its thread."""
        self._manager.stop(block=True)

    def _send(self, index: int, job: Job) -> None:
        self._manager.add_request(
            list(job.prompt_ids),
            request_id=str(index),
            max_new_tokens=job.n_output,
            record_timestamps=True,
        )

    def _next(self, longest_s: float) -> GenerationOutput | None:
        """The next answer, or None when there was none until something else is to do."""
        output = self._manager.get_result(timeout=min(max(longest_s, 1e-3), _PATIENCE_S))
        if output is None and not self._manager.is_running():
            raise RuntimeError("the thread of transformers' continuous batching has ended")
        if output is not None and (output.error or not output.is_finished()):
            raise RuntimeError(f"transformers' continuous batching failed: {output.error}")
        return output


def _is_due(load: Load, job: Job, now: float, n_open: int) -> bool:
    if load.clients is not None:
        return n_open < load.clients
    return job.arrival_s <= now


def _answered(output: GenerationOutput, arrived: float, started: float) -> Answered:
    assert output.timestamps is not None, "timestamps were asked for"
    return Answered(
        arrived,
        first=output.timestamps[0] - started,
        last=output.timestamps[-1] - started,
        tokens=tuple(output.generated_tokens),
    )


def _over_the_same_weights(model: PreTrainedModel) -> PreTrainedModel:
    """A copy in which everything is its own but parameters and buffers."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)
