"""What a request must satisfy before the engine takes it, and what the engine asks of it."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from services.backbone.chat import EncodedPrompt
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.errors import ArtefactRefused, InvalidRequest, PromptTooLong, VersionMismatch
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Readout, Steering

_MAX_TEMPERATURE = 2.0
_MAX_STOPS = 16
_MAX_STOP_CHARACTERS = 256
_SEEDS = 2**64


def treatment_under(readout: Readout, action: Action, backbone: Backbone) -> Treatment:
    """What an action does to the given backbone by a readout's steering.

    Raises:
        ArtefactRefused: the steering cannot be used.
        VersionMismatch: it acts on a block that the backbone does not have.
    """
    if action is Action.NONE:
        return UNTOUCHED
    try:
        treatment = Treatment(action, _on(backbone.device, readout.steering))
    except ValueError as error:
        raise ArtefactRefused(f"readout `{readout.version}` cannot be used: {error}") from None
    last = max((move.layer for move in treatment.moves), default=0)
    if last >= len(backbone.blocks):
        raise VersionMismatch(
            f"readout `{readout.version}` acts on block {last}, and "
            f"`{backbone.identity.name}` has {len(backbone.blocks)}"
        )
    return treatment


class Treatments:
    """What actions do to one backbone, made once for each readout."""

    def __init__(self, backbone: Backbone) -> None:
        """Begin without any."""
        self._backbone = backbone
        self._made: WeakKeyDictionary[Readout, dict[Action, Treatment]] = WeakKeyDictionary()

    def under(self, readout: Readout, action: Action) -> Treatment:
        """`treatment_under` the readout; the same object each time."""
        made = self._made.setdefault(readout, {})
        if action not in made:
            made[action] = treatment_under(readout, action, self._backbone)
        return made[action]


def check_room(prompt: EncodedPrompt, sampling: Sampling, backbone: Backbone) -> None:
    """Raise unless prompt and answer fit the backbone's context.

    Raises:
        PromptTooLong: they do not.
    """
    n_tokens, context = len(prompt.token_ids), backbone.max_prompt_tokens
    if n_tokens + sampling.max_tokens > context:
        raise PromptTooLong(
            f"the prompt has {n_tokens} tokens and `max_tokens` is "
            f"{sampling.max_tokens}; together at most {context} fit the context of "
            f"`{backbone.identity.name}`: shorten the prompt or lower `max_tokens`"
        )


def check_sampling(sampling: Sampling) -> None:
    """Raise unless the sampling makes sense.

    Raises:
        InvalidRequest: a value is out of range; the message names it.
    """
    if sampling.max_tokens < 1:
        raise InvalidRequest(f"`max_tokens` is {sampling.max_tokens}; give at least 1")
    if not 0.0 <= sampling.temperature <= _MAX_TEMPERATURE:
        raise InvalidRequest(
            f"`temperature` is {sampling.temperature}; give 0 (greedy) to {_MAX_TEMPERATURE:g}"
        )
    if not 0.0 < sampling.top_p <= 1.0:
        raise InvalidRequest(f"`top_p` is {sampling.top_p}; give more than 0, at most 1")
    if sampling.seed is not None and not 0 <= sampling.seed < _SEEDS:
        raise InvalidRequest(f"`seed` is {sampling.seed}; give 0 to 2^64 - 1")
    if len(sampling.stop) > _MAX_STOPS:
        raise InvalidRequest(f"{len(sampling.stop)} stop strings; give at most {_MAX_STOPS}")
    if not all(1 <= len(stop) <= _MAX_STOP_CHARACTERS for stop in sampling.stop):
        raise InvalidRequest(
            f"a stop string is empty or long; give 1 to {_MAX_STOP_CHARACTERS} characters each"
        )


def _on(device: torch.device, steering: Steering) -> Steering:
    """With its directions where the model is: a copy from the host would stall every pass."""
    release = steering.release
    if release.direction is not None:
        release = replace(release, direction=release.direction.to(device))
    return replace(steering, direction=steering.direction.to(device), release=release)


def end_tokens(backbone: Backbone) -> frozenset[int]:
    """The tokens that end a text: the generation config's, otherwise the tokenizer's."""
    config = getattr(backbone.model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    if named is None:
        named = backbone.tokenizer.eos_token_id
    if named is None:
        return frozenset()
    return frozenset([named] if isinstance(named, int) else named)
