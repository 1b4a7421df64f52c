"""Readings of a batch while it runs: last token, last instruction token, mean; pads never count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from services.backbone.chat import EncodedPrompt, PaddedBatch
from services.readout.place import Reading


def reader(
    batch: PaddedBatch, prompts: Sequence[EncodedPrompt], readings: Sequence[Reading]
) -> Callable[[Tensor], Tensor]:
    """What takes readings of a block's output, for `services.backbone.hooks.capture`.

    Args:
        batch: the prompts as they run, on the model's device.
        prompts: the same, in the batch's order.
        readings: at least one.

    Returns:
        Residual, (batch, seq, d_model), to readings, (len(readings), batch, d_model) in the
        residual's dtype. The mean is taken in float32 and rounded to that dtype.
    """
    is_pad = batch.attention_mask.unsqueeze(-1) == 0
    n_tokens = batch.attention_mask.sum(-1, keepdim=True)
    rows = torch.arange(len(prompts), device=is_pad.device)
    from_end = [prompt.instruction_end - len(prompt.token_ids) for prompt in prompts]
    instruction = torch.tensor(from_end, device=is_pad.device)

    def read(residual: Tensor) -> Tensor:
        found = []
        for reading in readings:
            if reading == "last":
                found.append(residual[:, -1])
            elif reading == "instruction":
                found.append(residual[rows, instruction])
            else:
                # filled, not multiplied by 0: what stands at a pad may not be finite
                real = residual.float().masked_fill(is_pad, 0.0)
                found.append((real.sum(dim=1) / n_tokens).to(residual.dtype))
        return torch.stack(found)

    return read
