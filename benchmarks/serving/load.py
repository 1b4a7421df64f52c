"""What is asked of an engine: prompts and lengths of answers, drawn by a seed, and when they come.

Lengths are log-uniform: a user's own text of 8 to 512 tokens (mean 121; the template's come on
top), an answer of 8 to 128 (mean 43). Half of all prompts have fewer than 64 tokens, and six of
seven batches of 16 are held up by an answer of more than 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone

PROMPT_TOKENS = (8, 512)
OUTPUT_TOKENS = (8, 128)
FEW, MANY = 1, 16
"""Clients of the loads in which each waits for its answer."""
_N_LOOKED_AT = 3000
"""Tokens of a vocabulary among which words are looked for: hundreds are enough."""


@dataclass(frozen=True)
class Job:
    """One request."""

    prompt: str = field(repr=False)
    prompt_ids: tuple[int, ...] = field(repr=False)
    """In the chat template."""
    n_output: int
    """Tokens of its answer: neither more nor fewer."""
    arrival_s: float = 0.0
    """After the load has begun; where clients wait for answers it is not read."""


@dataclass(frozen=True)
class Load:
    """Requests, and when they come."""

    name: str
    jobs: tuple[Job, ...]
    clients: int | None = None
    """Each sends its next request when its last is answered; None: requests come at their own
    time."""

    @property
    def useful_tokens(self) -> int:
        """Of all answers."""
        return sum(job.n_output for job in self.jobs)


def draw(
    backbone: Backbone,
    n: int,
    *,
    seed: int,
    prompt_tokens: tuple[int, int] = PROMPT_TOKENS,
    output_tokens: tuple[int, int] = OUTPUT_TOKENS,
) -> tuple[Job, ...]:
    """Requests of log-uniform lengths that fit the model's context.

    Args:
        backbone: whose tokens and context.
        n: how many.
        seed: of the lengths and the words; the lengths are the same for every model.
        prompt_tokens: of the user's own text, least and most; cut to the context.
        output_tokens: of the answer, least and most.

    Raises:
        ValueError: the context has no room for the shortest prompt, or the tokenizer has no word
            of one token.
    """
    lengths, words = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    vocabulary = _words(backbone.tokenizer)
    if not vocabulary:
        raise ValueError(f"`{backbone.identity.name}` has no word of one token to draw from")
    template = len(encode_prompt(backbone.tokenizer, "").token_ids)
    room = backbone.max_prompt_tokens - template - output_tokens[1]
    if room < prompt_tokens[0]:
        raise ValueError(
            f"`{backbone.identity.name}` has a context of {backbone.max_prompt_tokens} tokens; "
            f"{prompt_tokens[0]} of a prompt and {output_tokens[1]} of an answer do not fit it"
        )
    jobs = []
    for _ in range(n):
        n_prompt = min(_log_uniform(lengths, *prompt_tokens), room)
        n_output = _log_uniform(lengths, *output_tokens)
        prompt = "".join(words.choice(vocabulary, n_prompt))
        token_ids = encode_prompt(backbone.tokenizer, prompt).token_ids
        jobs.append(Job(prompt, tuple(token_ids), n_output))
    return tuple(jobs)


def all_at_once(jobs: Sequence[Job]) -> Load:
    """Every request comes at the beginning."""
    return Load("all at once", tuple(replace(job, arrival_s=0.0) for job in jobs))


def closed(jobs: Sequence[Job], clients: int) -> Load:
    """So many clients, each with one request at a time."""
    return Load(f"{clients} client{'s' * (clients > 1)}", tuple(jobs), clients)


def poisson(jobs: Sequence[Job], *, rate: float, seed: int) -> Load:
    """Arrivals of a Poisson process; the first comes at once.

    Args:
        jobs: in the order of arrival.
        rate: requests per second.
        seed: of the times between them.
    """
    gaps = np.random.default_rng([seed, 2]).exponential(1 / rate, len(jobs))
    times = np.concatenate([[0.0], gaps.cumsum()[:-1]]).tolist()
    arriving = (replace(job, arrival_s=time) for job, time in zip(jobs, times, strict=True))
    return Load("Poisson arrivals", tuple(arriving))


def _log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def _words(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Words of one token each with a space before them, which stay one token beside any other."""
    ids = range(min(len(tokenizer), _N_LOOKED_AT))
    texts = {f" {text.strip()}" for text in tokenizer.batch_decode([[each] for each in ids])}
    return sorted(
        text
        for text in texts
        if text[1:].isascii() and text[1:].isalpha() and _is_one(tokenizer, text)
    )


def _is_one(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    return len(tokenizer(text * 2, add_special_tokens=False)["input_ids"]) == 2
