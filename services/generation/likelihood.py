"""How likely the model would have written given texts, each under its own treatment.

A given token is treated as one that the model has just made: a text's likelihood is that of the
decode loop writing it, prompt pass and new tokens edited as `services.generation.decode` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from services.backbone.chat import left_pad
from services.backbone.hooks import edit
from services.backbone.load import Backbone
from services.errors import InvalidRequest, ServiceError
from services.generation.cache import cache_argument, keep_rows
from services.generation.forward import last_logits
from services.generation.intervention import Phase
from services.generation.treatment import Treatment, edits_of

Report = Callable[[int, int], None]
"""Called with texts done and texts in all."""


@dataclass(frozen=True, eq=False)
class GivenText:
    """A text as tokens, with the prompt that it answers and what is done to the model meanwhile."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """At least one."""
    treatment: Treatment


class Likelihood(NamedTuple):
    """Of one text."""

    log_probability: float
    """Natural logarithm, summed over the text's tokens; at most 0."""
    is_greedy: bool
    """True when greedy decoding would have written it."""


class _Prompt(NamedTuple):
    """A prompt under one treatment, and the rows of the texts that answer it."""

    prompt_ids: tuple[int, ...]
    treatment: Treatment
    rows: list[int]


class _Scored(NamedTuple):
    log_probability: Tensor
    """(rows,) float32."""
    is_greedy: Tensor
    """(rows,) bool."""


def likelihoods(
    backbone: Backbone,
    texts: Sequence[GivenText],
    *,
    max_rows: int = 32,
    report: Report = lambda done, total: None,
) -> list[Likelihood]:
    """Likelihoods of texts, in their order. Texts that answer one prompt share its pass.

    Args:
        backbone: the whole model; nothing else may run it meanwhile.
        texts: what is scored.
        max_rows: texts run together; more only where one prompt has more.
        report: called after every pass.

    Raises:
        InvalidRequest: a prompt and its text do not fit the context.
        ServiceError: the model's logits are not finite.
        ValueError: a text has no tokens.
    """
    _check(backbone, texts)
    found = [Likelihood(0.0, False)] * len(texts)
    done = 0
    for prompts in _batches(_shared(texts), max_rows):
        rows = [row for prompt in prompts for row in prompt.rows]
        scored = _score(backbone, prompts, [texts[row] for row in rows])
        if not bool(scored.log_probability.isfinite().all()):
            raise ServiceError(
                "the model's logits are not finite; load it with another dtype, or choose a "
                "smaller steering coefficient"
            )
        values = zip(scored.log_probability.tolist(), scored.is_greedy.tolist(), strict=True)
        for row, value in zip(rows, values, strict=True):
            found[row] = Likelihood(*value)
        done += len(rows)
        report(done, len(texts))
    return found


def _shared(texts: Sequence[GivenText]) -> list[_Prompt]:
    prompts: dict[tuple[tuple[int, ...], int], _Prompt] = {}
    for row, text in enumerate(texts):
        key = (text.prompt_ids, id(text.treatment))
        prompts.setdefault(key, _Prompt(text.prompt_ids, text.treatment, [])).rows.append(row)
    return sorted(prompts.values(), key=lambda prompt: len(prompt.prompt_ids))


def _batches(prompts: Sequence[_Prompt], max_rows: int) -> Iterator[list[_Prompt]]:
    batch: list[_Prompt] = []
    n_rows = 0
    for prompt in prompts:
        if batch and n_rows + len(prompt.rows) > max_rows:
            yield batch
            batch, n_rows = [], 0
        batch.append(prompt)
        n_rows += len(prompt.rows)
    if batch:
        yield batch


@torch.inference_mode()
def _score(backbone: Backbone, prompts: Sequence[_Prompt], texts: Sequence[GivenText]) -> _Scored:
    padded = left_pad([prompt.prompt_ids for prompt in prompts], backbone.pad_id)
    padded = padded.to(backbone.device)
    mask, cache = padded.attention_mask, DynamicCache()
    edits = edits_of([prompt.treatment for prompt in prompts], Phase.PREFILL, mask)
    with edit(backbone.blocks, edits):
        last = last_logits(backbone, padded.input_ids, mask, padded.position_ids, cache)
    owners = [index for index, prompt in enumerate(prompts) for _ in prompt.rows]
    rows = torch.tensor(owners, device=backbone.device)
    first = last.unsqueeze(1).index_select(0, rows)
    rest = _continue(backbone, texts, mask.index_select(0, rows), rows, cache)
    return _sum(torch.cat([first, rest], dim=1) if rest is not None else first, texts)


def _continue(
    backbone: Backbone,
    texts: Sequence[GivenText],
    mask: Tensor,
    rows: Tensor,
    cache: DynamicCache,
) -> Tensor | None:
    """Logits after each token of the texts but the last, (rows, longest - 1, vocabulary)."""
    fed = [text.token_ids[:-1] for text in texts]
    if not any(fed):
        return None
    input_ids = _right_padded(fed, backbone.pad_id, backbone.device)
    real = _right_padded([[1] * len(tokens) for tokens in fed], 0, backbone.device)
    keep_rows(cache, rows, first_column=0)
    # pads stand at the end, where no token looks back at them
    position_ids = mask.sum(dim=1, keepdim=True) + torch.arange(
        input_ids.shape[1], device=backbone.device
    )
    edits = edits_of([text.treatment for text in texts], Phase.DECODE, real)
    with edit(backbone.blocks, edits):
        output = backbone.model(
            input_ids=input_ids,
            attention_mask=torch.cat([mask, real], dim=1),
            position_ids=position_ids,
            use_cache=True,
            **{cache_argument(backbone.model): cache},
        )
    logits: Tensor = output.logits
    return logits


def _sum(logits: Tensor, texts: Sequence[GivenText]) -> _Scored:
    device = logits.device
    tokens = _right_padded([text.token_ids for text in texts], 0, device)
    real = _right_padded([[1] * len(text.token_ids) for text in texts], 0, device).bool()
    chosen = torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    greedy = logits.argmax(dim=-1) == tokens
    return _Scored(torch.where(real, chosen, 0.0).sum(dim=1), (greedy | ~real).all(dim=1))


def _right_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=device)


def _check(backbone: Backbone, texts: Sequence[GivenText]) -> None:
    for index, text in enumerate(texts):
        if not text.token_ids:
            raise ValueError(f"text {index} has no tokens; at least one is needed")
        n_tokens = len(text.prompt_ids) + len(text.token_ids)
        if n_tokens > backbone.max_prompt_tokens:
            raise InvalidRequest(
                f"prompt {index} and its text have {n_tokens} tokens, and the context has "
                f"{backbone.max_prompt_tokens}; shorten it"
            )
