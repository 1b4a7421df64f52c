"""THE extractor, online and offline: prompts to residuals at places, layer and reading."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from services.backbone.buckets import buckets, tokens_of_a_pass
from services.backbone.chat import EncodedPrompt, left_pad
from services.backbone.hooks import capture
from services.backbone.load import Backbone
from services.backbone.readings import reader
from services.readout.place import READINGS, Place


def residuals(
    backbone: Backbone,
    prompts: Sequence[EncodedPrompt],
    *,
    places: Sequence[Place],
    max_tokens: int | None = None,
) -> Tensor:
    """Residuals of prompts, as if each had been run alone.

    Args:
        backbone: the model, with at least the blocks that are read.
        prompts: as `services.backbone.chat.encode_prompt` gives them.
        places: what is read of every prompt.
        max_tokens: padded tokens in one forward pass, a longer prompt runs alone; None: as suits
            the device.

    Returns:
        (n, len(places), d_model) float32 on the CPU, in the prompts' and places' order; non-finite
        ones as they are. A reading has the precision of the backbone (the mean is rounded to it),
        so that a cache in the backbone's own dtype loses nothing.

    Raises:
        ValueError: there is no such block or reading, or a prompt without tokens.
    """
    _check(backbone, prompts, places)
    lengths = [len(prompt.token_ids) for prompt in prompts]
    shape = (len(lengths), len(places), backbone.identity.d_model)
    found = torch.empty(shape, dtype=torch.float32)
    budget = max_tokens or tokens_of_a_pass(backbone.device)
    for rows in buckets(lengths, max_tokens=budget):
        found[rows] = read_together(backbone, [prompts[row] for row in rows], places)
    return found


@torch.inference_mode()
def read_together(
    backbone: Backbone, prompts: Sequence[EncodedPrompt], places: Sequence[Place]
) -> Tensor:
    """`residuals` in one pass, however much of it is padding."""
    batch = left_pad([prompt.token_ids for prompt in prompts], backbone.pad_id).to(backbone.device)
    readings = tuple(dict.fromkeys(place.reading for place in places))
    layers = tuple(dict.fromkeys(place.layer for place in places))
    keep = reader(batch, prompts, readings)
    with capture(backbone.blocks, layers, keep=keep, stops=True) as found:
        # the decoder alone: the head over every token would cost more than the blocks do
        backbone.model.get_decoder()(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        )
    read = [found[place.layer][readings.index(place.reading)] for place in places]
    return torch.stack(read, dim=1).float().cpu()


def _check(backbone: Backbone, prompts: Sequence[EncodedPrompt], places: Sequence[Place]) -> None:
    n_blocks = len(backbone.blocks)
    if not places or not all(0 <= place.layer < n_blocks for place in places):
        wanted = [place.layer for place in places]
        raise ValueError(f"cannot read blocks {wanted}; 0..{n_blocks - 1} are loaded")
    if unknown := [place.reading for place in places if place.reading not in READINGS]:
        raise ValueError(f"no reading `{unknown[0]}`; choose of {', '.join(READINGS)}")
    for prompt in prompts:
        if not 0 <= prompt.instruction_end < len(prompt.token_ids):
            raise ValueError(
                f"the instruction of a prompt of {len(prompt.token_ids)} tokens cannot end at "
                f"{prompt.instruction_end}"
            )
