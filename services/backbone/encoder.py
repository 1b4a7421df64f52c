"""Prompts to token ids in a thread: tokenising a long prompt would hold up the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from transformers import PreTrainedTokenizerBase

from services.backbone.chat import EncodedPrompt, encode_prompt
from services.errors import DeadlinePassed, ServiceUnavailable


class PromptEncoder:
    """Encodes one prompt at a time; a fast tokenizer is not to be used by two threads at once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, name: str) -> None:
        """Encode with the given tokenizer, in a thread of the given name."""
        self._tokenizer = tokenizer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

    async def encode(self, prompt: str, *, timeout_s: float | None = None) -> EncodedPrompt:
        """A prompt in the chat template; see `services.backbone.chat.encode_prompt`.

        A caller that gives up, or whose time runs out, is dropped before its prompt is looked at.

        Raises:
            InvalidRequest: the prompt cannot be encoded.
            DeadlinePassed: it was not encoded within `timeout_s`.
            ServiceUnavailable: the encoder is closed.
        """
        if self._closed:
            raise ServiceUnavailable("the service is shutting down; retry")
        if timeout_s is not None and timeout_s <= 0:
            raise DeadlinePassed("the deadline passed before the prompt was tokenised")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                return await loop.run_in_executor(
                    self._thread, encode_prompt, self._tokenizer, prompt
                )
        except TimeoutError:
            raise DeadlinePassed(
                f"the prompt was not tokenised within the {timeout_s:.3g} s that were left; allow "
                "more time, or retry later"
            ) from None

    def close(self) -> None:
        """Take no more prompts; those that were taken are encoded."""
        self._closed = True
        self._thread.shutdown(wait=False)
