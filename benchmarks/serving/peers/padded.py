"""Static batches through `generate` of transformers: untouched, and as the paper's code does it.

Prompts of a batch are padded on the left to the longest, in the order in which they came, and the
batch runs until its longest answer has ended; of each request only its own tokens count. A token
counts from the step that made it, although `generate` returns all of them at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from benchmarks.serving.artefacts import LANGUAGE
from benchmarks.serving.load import Load
from benchmarks.serving.peers.in_time import Arrived, in_batches
from benchmarks.serving.peers.peer import Setting
from benchmarks.serving.timings import Answered, Timings, timings
from services.backbone.chat import PaddedBatch, left_pad

BATCH = 16


class Padded:
    """`generate` over static batches of 16, the model untouched."""

    def __init__(self, setting: Setting) -> None:
        """Take the model."""
        self._backbone = setting.backbone

    def run(self, load: Load) -> Timings:
        """As a `Peer` does."""
        started = time.perf_counter()
        answered: list[Answered] = []
        for arrived in in_batches(load, BATCH, now=lambda: time.perf_counter() - started):
            answered += self._answer(arrived, started)
        return timings(answered)

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, arrived: Arrived, started: float) -> list[Answered]:
        return self._generate(arrived, self._pad(arrived), started)

    def _pad(self, arrived: Arrived) -> PaddedBatch:
        prompts = [job.prompt_ids for job in arrived.jobs]
        return left_pad(prompts, self._backbone.pad_id).to(self._backbone.device)

    @torch.inference_mode()
    def _generate(self, arrived: Arrived, batch: PaddedBatch, started: float) -> list[Answered]:
        steps = _Steps()
        config = GenerationConfig(
            max_new_tokens=max(job.n_output for job in arrived.jobs),
            do_sample=False,
            pad_token_id=self._backbone.pad_id,
            eos_token_id=self._backbone.model.config.vocab_size,  # which is never chosen
        )
        whole = self._backbone.model.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            generation_config=config,
            streamer=steps,
        )
        answers = whole[:, batch.input_ids.shape[1] :].tolist()
        return [
            Answered(
                at,
                first=steps.times[0] - started,
                last=steps.times[job.n_output - 1] - started,
                tokens=tuple(answer[: job.n_output]),
            )
            for job, at, answer in zip(arrived.jobs, arrived.at, answers, strict=True)
        ]


class Released(Padded):
    """The paper's released procedure: a pass of its own that reads, then batches that act.

    First a forward pass of the whole model keeps every block's output of every prompt, 16 at a time
    in the order of arrival, and the readout decides two ways by a threshold. Then `generate` runs
    the same batches again with a hook at the readout's block: harmful rows get `coefficient` times
    the direction added at the last prompt token and at every new one, harmless rows lose their
    component along it at every token (arXiv:2606.01196). Where all requests are there at the
    beginning, all of them are read before the first is answered.
    """

    def __init__(self, setting: Setting) -> None:
        """Take the model and the readout."""
        super().__init__(setting)
        self._readout = setting.bundle.readout
        self._threshold = setting.bundle.calibrations[LANGUAGE].thresholds.steer

    def run(self, load: Load) -> Timings:
        """As a `Peer` does."""
        if load.clients is not None or any(job.arrival_s > 0 for job in load.jobs):
            return super().run(load)
        started = time.perf_counter()
        batches = list(in_batches(load, BATCH, now=lambda: time.perf_counter() - started))
        harmful = [self._read(self._pad(arrived)) for arrived in batches]
        answered: list[Answered] = []
        for arrived, rows in zip(batches, harmful, strict=True):
            with self._acting(rows):
                answered += self._generate(arrived, self._pad(arrived), started)
        return timings(answered)

    def _answer(self, arrived: Arrived, started: float) -> list[Answered]:
        batch = self._pad(arrived)
        with self._acting(self._read(batch)):
            return self._generate(arrived, batch, started)

    @torch.inference_mode()
    def _read(self, batch: PaddedBatch) -> Tensor:
        """(batch,) bool: which prompts are harmful."""
        output = self._backbone.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
            output_hidden_states=True,
        )
        last = [states[:, -1].float() for states in output.hidden_states[1:]]
        places = torch.stack([last[place.layer] for place in self._readout.places], dim=1)
        return self._readout.score(places) >= self._threshold

    @contextmanager
    def _acting(self, harmful: Tensor) -> Iterator[None]:
        steering = self._readout.steering
        direction = steering.direction.to(self._backbone.device)
        adds = harmful.float()[:, None, None] * steering.coefficient
        keeps = harmful.float()[:, None, None]

        def hook(module: Any, args: Any, output: Any) -> Any:
            residual = output[0] if isinstance(output, tuple) else output
            wide = residual.float()
            along = wide @ direction
            edited = wide - (1 - keeps) * along[..., None] * direction
            edited[:, -1:] += adds * direction
            edited = edited.to(residual.dtype)
            return (edited, *output[1:]) if isinstance(output, tuple) else edited

        handle = self._backbone.blocks[steering.layer].register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


class _Steps(BaseStreamer):  # type: ignore[misc]
    """When each step of `generate` had its tokens."""

    def __init__(self) -> None:
        """Begin before the prompts, which are put first."""
        self.times: list[float] = []
        self._is_prompt = True

    def put(self, value: Tensor) -> None:
        """One step's tokens."""
        if self._is_prompt:
            self._is_prompt = False
            return
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left."""
