"""What a caller sends, checked before anything reads it: prompt, language hint, sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import langcodes

from services.domain import Sampling
from services.errors import InvalidRequest, PromptTooLong
from services.pb import recal_pb2 as pb

_MAX_TEMPERATURE = 2.0
_MAX_ROUTING_KEY_BYTES = 256
_SHOWN_HINT = 35  # RFC 5646's recommended buffer for a tag


@dataclass(frozen=True)
class RequestLimits:
    """What a request may ask for."""

    max_prompt_bytes: int = 262_144
    """UTF-8 bytes of a prompt; the backbone's own limit is in tokens and checked by the gate."""
    default_max_tokens: int = 64
    max_tokens: int = 1024
    max_stop_strings: int = 8
    max_stop_characters: int = 64
    """Longest single stop string."""
    max_batch: int = 256
    """Prompts in one BatchCheck."""


def prompt_of(prompt: str, limits: RequestLimits) -> str:
    """The prompt, unchanged.

    Raises:
        PromptTooLong: more UTF-8 bytes than allowed.
        InvalidRequest: nothing but white space, or a NUL character, which tokenizers and language
            identification would each cut at a different place.
    """
    n_bytes = len(prompt.encode())
    if n_bytes > limits.max_prompt_bytes:
        raise PromptTooLong(
            f"`prompt` has {n_bytes} bytes, at most {limits.max_prompt_bytes} are taken; shorten it"
        )
    if "\0" in prompt:
        raise InvalidRequest(
            f"`prompt` holds a NUL character at index {prompt.index(chr(0))}; remove it"
        )
    if not prompt.strip():
        blank = f": {len(prompt)} characters of white space" if prompt else ""
        raise InvalidRequest(f"`prompt` is empty{blank}; give some text")
    return prompt


def hint_of(hint: str) -> str | None:
    """The language hint as a normalised BCP 47 tag; None when there is none.

    Raises:
        InvalidRequest: the hint is no tag of a registered language.
    """
    if not hint:
        return None
    if len(hint) <= _SHOWN_HINT and hint.isascii() and langcodes.tag_is_valid(hint):
        return str(langcodes.standardize_tag(hint))
    shown = repr(hint[:_SHOWN_HINT]) + ("…" if len(hint) > _SHOWN_HINT else "")
    raise InvalidRequest(
        f"`language_hint` {shown} is no BCP 47 tag; give one such as `sw` or `zh-Hant`, or none"
    )


def routing_key_of(key: str) -> str | None:
    """What a challenger's share of the traffic is drawn by, unchanged; None when there is none.

    Raises:
        InvalidRequest: it is too long. It may name a person, so it is shown to nobody.
    """
    n_bytes = len(key.encode())
    if n_bytes > _MAX_ROUTING_KEY_BYTES:
        raise InvalidRequest(
            f"`routing_key` has {n_bytes} bytes, at most {_MAX_ROUTING_KEY_BYTES} are taken; give "
            "a hash of it"
        )
    return key or None


def sampling_of(sampling: pb.Sampling, limits: RequestLimits) -> Sampling:
    """How to choose tokens; fields that are not set take the server's defaults.

    Raises:
        InvalidRequest: a field is outside its range.
    """
    return Sampling(
        max_tokens=_max_tokens(sampling, limits),
        temperature=_temperature(sampling),
        top_p=_top_p(sampling),
        seed=sampling.seed if sampling.HasField("seed") else None,
        stop=_stop(tuple(sampling.stop), limits),
    )


def _max_tokens(sampling: pb.Sampling, limits: RequestLimits) -> int:
    if not sampling.HasField("max_tokens"):
        return limits.default_max_tokens
    if not 1 <= sampling.max_tokens <= limits.max_tokens:
        raise InvalidRequest(
            f"`max_tokens` is {sampling.max_tokens}; give 1 to {limits.max_tokens}"
        )
    return sampling.max_tokens


def _temperature(sampling: pb.Sampling) -> float:
    # NaN fails every comparison, so the range is asked for and not its complement.
    if not 0.0 <= sampling.temperature <= _MAX_TEMPERATURE:
        raise InvalidRequest(
            f"`temperature` is {sampling.temperature}; give 0 (greedy) to {_MAX_TEMPERATURE}"
        )
    return sampling.temperature


def _top_p(sampling: pb.Sampling) -> float:
    if not sampling.HasField("top_p"):
        return 1.0
    if math.isnan(sampling.top_p) or not 0.0 < sampling.top_p <= 1.0:
        raise InvalidRequest(f"`top_p` is {sampling.top_p}; give more than 0 and at most 1")
    return sampling.top_p


def _stop(stop: tuple[str, ...], limits: RequestLimits) -> tuple[str, ...]:
    if len(stop) > limits.max_stop_strings:
        raise InvalidRequest(
            f"`stop` holds {len(stop)} strings; give at most {limits.max_stop_strings}"
        )
    for index, text in enumerate(stop):
        if not 1 <= len(text) <= limits.max_stop_characters:
            raise InvalidRequest(
                f"`stop[{index}]` has {len(text)} characters; "
                f"give 1 to {limits.max_stop_characters}"
            )
    return stop


def from_sampling(sampling: Sampling) -> pb.Sampling:
    """Sampling as the wire carries it."""
    return pb.Sampling(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=sampling.stop,
    )
