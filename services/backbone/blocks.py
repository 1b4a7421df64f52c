"""Where the decoder blocks of a model are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from services.errors import ArtefactRefused

_NAMES = ("layers", "h")


def find_blocks(model: PreTrainedModel) -> Sequence[nn.Module]:
    """The decoder blocks in order; the output of block `i` is the residual at layer `i`.

    Raises:
        ArtefactRefused: the architecture keeps its blocks where nobody has looked yet.
    """
    decoder = model.get_decoder()
    for name in _NAMES:
        blocks = getattr(decoder, name, None)
        if isinstance(blocks, nn.ModuleList) and len(blocks) > 0:
            return tuple(blocks)
    raise ArtefactRefused(
        f"cannot find the decoder blocks of `{type(model).__name__}`: its decoder "
        f"`{type(decoder).__name__}` has none of {', '.join(f'`{n}`' for n in _NAMES)}; "
        "name them in services/backbone/blocks.py"
    )
