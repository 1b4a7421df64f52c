"""Attention over a packed pass: tokens of many rows side by side, each seeing its own row alone.

It takes the place of the model's own attention function while a packed pass runs, through
transformers' `AttentionInterface`, and keeps keys and values itself: the model is given no cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from services.errors import ArtefactRefused, ServiceError
from services.generation.slabs import Held, KeyValues, Slab

NAME = "recal_packed"
_LAYER_TYPES = {"full_attention", "sliding_attention"}
_HARMLESS = {"position_ids", "cache_position", "position_embeddings"}
"""Tensors that a model may hand on and that attention does not need."""


class Decoding(NamedTuple):
    """The rows of one slab, each with one new token."""

    slab: Slab
    lengths: tuple[int, ...]
    """Tokens held of each row; the new one takes the next column."""


class Prompting(NamedTuple):
    """Consecutive prompt tokens of one row."""

    held: Held
    start: int
    n_tokens: int


class PackedAttention:
    """Where the tokens of one pass keep their keys and values, and what they see.

    Belongs to one pass. Its tokens lie in the order of `decoding` and then of `prompting`.
    """

    def __init__(
        self,
        decoding: Sequence[Decoding],
        prompting: Sequence[Prompting],
        device: torch.device,
    ) -> None:
        """Know every token's place before the pass begins."""
        self._parts: list[_Columns | _Stretch] = [_Columns(each, device) for each in decoding]
        self._parts += [_Stretch(each, device) for each in prompting]
        self._sizes = [each.n_tokens for each in self._parts]
        self.n_rows = sum(len(each.lengths) for each in decoding) + len(prompting)
        """Rows that take part."""
        self.blocks: set[int] = set()
        """Those whose attention has run."""

    def __call__(
        self,
        block: int,
        query: Tensor,
        new: KeyValues,
        *,
        scaling: float,
        softcap: float | None,
        window: int | None,
    ) -> Tensor:
        """What every token of the pass takes from those that it sees.

        Args:
            block: whose attention this is.
            query: (1, heads, tokens, d_key).
            new: (1, heads of keys, tokens, d) of the same tokens; taken up.
            scaling: of the products.
            softcap: bound of the scaled products; None: there is none.
            window: tokens that a token sees, itself among them; None: all before it.

        Returns:
            (1, tokens, heads, d_value).
        """
        self.blocks.add(block)
        # token by token, as the model makes them: what one part takes of it is a view
        tokens = (each[0].transpose(0, 1) for each in (query, *new))
        parts = [torch.split_with_sizes(each, self._sizes) for each in tokens]
        found = [
            part.unfold(_attend(part.see(block, _New(*mine), window), scaling, softcap))
            for part, *mine in zip(self._parts, *parts, strict=True)
        ]
        return (found[0] if len(found) == 1 else torch.cat(found)).unsqueeze(0)


class _New(NamedTuple):
    """Of the tokens of one part of a pass, (tokens, heads, d) each."""

    query: Tensor
    keys: Tensor
    values: Tensor


class _Seen(NamedTuple):
    """Queries beside what they see, heads that share keys together."""

    query: Tensor
    """(a, b, queries, d_key)."""
    keys: Tensor
    """(a, b, columns, d_key)."""
    values: Tensor
    mask: Tensor | None
    """Broadcasts to (a, b, queries, columns), true where a query sees a column; None: causal."""


class _Columns:
    """One new token for each row of a slab."""

    def __init__(self, decoding: Decoding, device: torch.device) -> None:
        self._slab = decoding.slab
        self.n_tokens = len(decoding.lengths)
        self._longest, self._shortest = max(decoding.lengths), min(decoding.lengths)
        self._lengths = torch.tensor(decoding.lengths, device=device)
        self._rows = torch.arange(self.n_tokens, device=device)
        self._device = device
        self._views: dict[int | None, tuple[int, Tensor]] = {}

    def see(self, block: int, new: _New, window: int | None) -> _Seen:
        keys, values = self._slab.blocks[block]
        keys[self._rows, :, self._lengths] = new.keys
        values[self._rows, :, self._lengths] = new.values
        if window not in self._views:
            self._views[window] = self._view(window)
        first, mask = self._views[window]
        n, stop = self.n_tokens, self._longest + 1
        # heads that share keys are queries of one sequence: nothing is copied for each of them
        query = new.query.reshape(n, keys.shape[1], -1, new.query.shape[2])
        return _Seen(query, keys[:n, :, first:stop], values[:n, :, first:stop], mask)

    def unfold(self, found: Tensor) -> Tensor:
        return found.flatten(1, 2)

    def _view(self, window: int | None) -> tuple[int, Tensor]:
        """The first column that any row sees, and a mask from there on.

        Even where it hides nothing: torch 2.13 on a CPU is slow without one in bfloat16.
        """
        first = 0 if window is None else max(0, self._shortest - window + 1)
        columns = torch.arange(first, self._longest + 1, device=self._device)
        last = self._lengths.unsqueeze(1)
        seen = columns <= last
        if window is not None:
            seen &= columns > last - window
        return first, seen[:, None, None]


class _Stretch:
    """Consecutive prompt tokens of one row."""

    def __init__(self, prompting: Prompting, device: torch.device) -> None:
        self._held, self._start, self.n_tokens = prompting
        self._device = device
        self._masks: dict[int | None, Tensor | None] = {}

    def see(self, block: int, new: _New, window: int | None) -> _Seen:
        query, *added = (each.transpose(0, 1) for each in new)
        keys, values = self._held.write(
            block, self._start, KeyValues(*(each.unsqueeze(0) for each in added))
        )
        n_heads = keys.shape[1]
        query = query.reshape(n_heads, -1, *query.shape[1:])
        shared = (n_heads, query.shape[1], keys.shape[2], -1)
        return _Seen(
            query,
            keys[0].unsqueeze(1).expand(shared),
            values[0].unsqueeze(1).expand(shared),
            self._mask(window),
        )

    def unfold(self, found: Tensor) -> Tensor:
        return found.flatten(0, 1).transpose(0, 1)

    def _mask(self, window: int | None) -> Tensor | None:
        stop = self._start + self.n_tokens
        if window is not None and window >= stop:
            window = None
        if window is None and self._start == 0:
            return None
        if window not in self._masks:
            columns = torch.arange(stop, device=self._device)
            own = columns[self._start :].unsqueeze(1)
            seen = columns <= own
            if window is not None:
                seen &= columns > own - window
            self._masks[window] = seen
        return self._masks[window]


def _attend(seen: _Seen, scaling: float, softcap: float | None) -> Tensor:
    query, keys, values, mask = seen
    if softcap is None:
        return scaled_dot_product_attention(
            query, keys, values, attn_mask=mask, is_causal=mask is None, scale=scaling
        )
    scores = softcap * torch.tanh(torch.matmul(query, keys.transpose(2, 3)) * scaling / softcap)
    if mask is None:
        mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).tril()
    scores = scores.masked_fill(~mask, -torch.inf)
    return torch.matmul(torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype), values)


def _packed(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: PackedAttention | None = None,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """As transformers calls an attention function."""
    unknown = [
        name
        for name, value in others.items()
        if isinstance(value, Tensor) and name not in _HARMLESS
    ]
    if unknown or attention_mask is not None:
        raise ServiceError(
            f"the attention of `{type(module).__name__}` takes "
            f"{', '.join(f'`{name}`' for name in unknown) or 'a mask of its own'}, which packed "
            "passes do not know; teach services/generation/attention.py"
        )
    if packed is None:
        raise ServiceError(
            f"`{type(module).__name__}` does not hand on what packed passes give it; teach "
            "services/generation/attention.py"
        )
    block = int(vars(module)["layer_idx"])
    found = packed(
        block,
        query,
        KeyValues(key, value),
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        softcap=softcap,
        window=_window(module, block, sliding_window),
    )
    return found, None


def _window(module: nn.Module, block: int, given: int | None) -> int | None:
    """The window that a block was given; raises where its type says that there must be one."""
    types = getattr(module.config, "layer_types", None) or []
    if given is None and types and types[block] == "sliding_attention":
        raise ServiceError(
            f"`{type(module).__name__}` does not say how far block {block} looks back; "
            "teach services/generation/attention.py"
        )
    return given


AttentionInterface.register(NAME, _packed)


def check_packs(model: PreTrainedModel) -> None:
    """Raise unless a model's attention can be taken over.

    Raises:
        ArtefactRefused: it has an attention of its own kind.
    """
    types = set(getattr(model.config.get_text_config(), "layer_types", None) or [])
    if not getattr(model, "_supports_attention_backend", False) or types - _LAYER_TYPES:
        kinds = ", ".join(sorted(types - _LAYER_TYPES)) or "one of its own kind"
        raise ArtefactRefused(
            f"`{type(model).__name__}` cannot generate here: its attention is {kinds}, which "
            "services/generation/attention.py does not know; it can still be a gate's"
        )


@contextmanager
def packed_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let a model attend by `PackedAttention`, which its forward pass is to be given as `packed`.

    Its own attention is back afterwards, for whoever runs it without.
    """
    config = model.config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
