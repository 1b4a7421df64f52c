"""How likely the model would have written given texts, each under its own treatment.

A given token is treated as one that the model has just made: a text's likelihood is that of the
decode loop writing it, prompt pass and new tokens edited as `services.generation.decode` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from services.backbone.load import Backbone
from services.errors import InvalidRequest, ServiceError
from services.generation.intervention import Phase
from services.generation.slabs import Held
from services.generation.stretches import Given, logits_after
from services.generation.treatment import Treatment

Report = Callable[[int, int], None]
"""Called with texts done and texts in all."""


@dataclass(frozen=True, eq=False)
class GivenText:
    """A text as tokens, with the prompt that it answers and what is done to the model meanwhile."""

    prompt_ids: tuple[int, ...] = field(repr=False)
    token_ids: tuple[int, ...] = field(repr=False)
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
    held = [Held(len(prompt.prompt_ids)) for prompt in prompts]
    given = [
        Given(prompt.prompt_ids, prompt.treatment, Phase.PREFILL, each)
        for prompt, each in zip(prompts, held, strict=True)
    ]
    last = logits_after(backbone, given, every=False)
    owners = [index for index, prompt in enumerate(prompts) for _ in prompt.rows]
    rest = _continued(backbone, texts, [held[owner] for owner in owners])
    rest = rest or [last[:0]] * len(texts)
    # one text after another: what follows its prompt, and what follows each token but its last
    logits = torch.cat(
        [
            part
            for owner, following in zip(owners, rest, strict=True)
            for part in (last[owner : owner + 1], following)
        ]
    )
    return _sum(logits, texts)


def _continued(
    backbone: Backbone, texts: Sequence[GivenText], held: Sequence[Held]
) -> Sequence[Tensor]:
    """Logits after each token of a text but its last, (tokens - 1, vocabulary); none: no text."""
    given = []
    for text, each in zip(texts, held, strict=True):
        fed, start = text.token_ids[:-1], len(text.prompt_ids)
        if fed:
            longer = each.continued(start + len(fed))
            given.append(Given(fed, text.treatment, Phase.DECODE, longer, start))
    if not given:
        return []
    logits = logits_after(backbone, given, every=True)
    return torch.split(logits, [len(text.token_ids) - 1 for text in texts])


def _sum(logits: Tensor, texts: Sequence[GivenText]) -> _Scored:
    lengths = [len(text.token_ids) for text in texts]
    tokens = torch.tensor([t for text in texts for t in text.token_ids], device=logits.device)
    chosen = torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    greedy = logits.argmax(dim=-1) == tokens
    return _Scored(
        torch.stack([part.sum() for part in torch.split(chosen, lengths)]),
        torch.stack([part.all() for part in torch.split(greedy, lengths)]),
    )


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
