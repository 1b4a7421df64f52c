"""Prompts to token ids in a thread: tokenising a long prompt would hold up the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from transformers import PreTrainedTokenizerBase

from services.backbone.chat import EncodedPrompt, encode_prompt
from services.errors import ServiceUnavailable


class PromptEncoder:
    """Encodes one prompt at a time; a fast tokenizer is not to be used by two threads at once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, name: str) -> None:
        """Encode with the given tokenizer, in a thread of the given name."""
        self._tokenizer = tokenizer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

    async def encode(self, prompt: str) -> EncodedPrompt:
        """A prompt in the chat template; see `services.backbone.chat.encode_prompt`.

        Raises:
            InvalidRequest: the prompt cannot be encoded.
            ServiceUnavailable: the encoder is closed.
        """
        if self._closed:
            raise ServiceUnavailable("the service is shutting down; retry")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, encode_prompt, self._tokenizer, prompt)

    def close(self) -> None:
        """Take no more prompts; those that were taken are encoded."""
        self._closed = True
        self._thread.shutdown(wait=False)
