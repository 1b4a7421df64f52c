"""Ways to score prompts: our gate's service, and what others do for a hidden state.

All take texts, and each tokenises them itself in our chat template. All but ours run the whole
model over batches of 16 in the order of arrival, padded on the left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.serving.artefacts import Held
from benchmarks.serving.peers.ours import GUESS
from benchmarks.serving.peers.peer import Setting
from services.backbone.chat import PaddedBatch, encode, left_pad
from services.backbone.load import Backbone
from services.domain import GateRequest
from services.gate.batcher import BatchLimits
from services.gate.policy import Policy
from services.gate.service import GateService
from services.readout.bundle import Readout
from services.telemetry import PrometheusMeter

BATCH = 16
NNSIGHT_MISSING = "nnsight is not installed; its rows are left out: `pip install -e '.[bench]'`"


class Checker(Protocol):
    """Scores prompts by the random readout."""

    def scores(self, prompts: Sequence[str]) -> list[float]:
        """One for each prompt, in order."""


class BatchCheck:
    """`GateService.batch_check` over the blocks that the readout needs: the whole verdict."""

    def __init__(self, setting: Setting) -> None:
        """Load the gate."""
        self._backbone = setting.load_gate(setting.bundle.readout.deepest_layer + 1)
        self._held = Held(setting.bundle)
        self._meter = PrometheusMeter()

    def scores(self, prompts: Sequence[str]) -> list[float]:
        """As a `Checker` does."""
        return asyncio.run(self._scores(prompts))

    async def _scores(self, prompts: Sequence[str]) -> list[float]:
        limits = BatchLimits(max_waiting=len(prompts))
        gate = GateService(self._backbone, self._held, Policy(), self._meter, limits=limits)
        try:
            readings = await gate.batch_check([GateRequest(each, GUESS) for each in prompts])
        finally:
            await gate.close()
        return [float(each.verdict.score or 0.0) for each in readings]


class WholeModel:
    """The whole model with `output_hidden_states`, head and all, as it is commonly called."""

    def __init__(self, setting: Setting) -> None:
        """Take the model."""
        self._backbone, self._readout = setting.backbone, setting.bundle.readout

    @torch.inference_mode()
    def scores(self, prompts: Sequence[str]) -> list[float]:
        """As a `Checker` does."""
        found: list[float] = []
        for batch in _batches(self._backbone, prompts):
            output = self._backbone.model(**_inputs(batch), output_hidden_states=True)
            # the first are the embeddings; the last, which is never read here, is normed
            read = [output.hidden_states[place.layer + 1][:, -1] for place in self._readout.places]
            found += _scored(self._readout, read)
        return found


class Traced:
    """nnsight: a trace that saves the block's output at the last token (arXiv:2407.14561).

    Given token ids, which spares it its own tokenisation.
    """

    def __init__(self, setting: Setting, *, stops: bool = False) -> None:
        """Wrap the model.

        Args:
            setting: what all share.
            stops: end each pass behind the block that is read, which nnsight does when told to.

        Raises:
            ModuleNotFoundError: nnsight is not installed; see `nnsight_is_there`.
        """
        from nnsight import NNsight  # it may not be there

        self._backbone = setting.backbone
        self._readout = setting.bundle.readout
        self._traced: Any = NNsight(self._backbone.model)
        self._stops = stops

    @torch.inference_mode()
    def scores(self, prompts: Sequence[str]) -> list[float]:
        """As a `Checker` does."""
        found: list[float] = []
        for batch in _batches(self._backbone, prompts):
            found += _scored(self._readout, self._read(batch))
        return found

    def _read(self, batch: PaddedBatch) -> list[Tensor]:
        blocks, layer = self._traced.model.layers, self._readout.deepest_layer
        with self._traced.trace(**_inputs(batch)) as trace:
            read = blocks[layer].output[:, -1].save()
            if self._stops:
                trace.stop()
        return [read]


def nnsight_is_there() -> bool:
    """Whether nnsight can be imported."""
    return find_spec("nnsight") is not None


def _inputs(batch: PaddedBatch) -> dict[str, Any]:
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "position_ids": batch.position_ids,
        "use_cache": False,
    }


def _batches(backbone: Backbone, prompts: Sequence[str]) -> Iterator[PaddedBatch]:
    for start in range(0, len(prompts), BATCH):
        ids = [encode(backbone.tokenizer, prompt) for prompt in prompts[start : start + BATCH]]
        yield left_pad(ids, backbone.pad_id).to(backbone.device)


def _scored(readout: Readout, read: Sequence[Tensor]) -> list[float]:
    """Of (batch, d_model) residuals at each place."""
    scores: list[float] = readout.score(torch.stack(list(read), dim=1)).tolist()
    return scores
