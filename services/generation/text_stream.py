"""Tokens to text as they come, never with half a character."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

_BROKEN = "\N{REPLACEMENT CHARACTER}"
_MOST_BYTES_MISSING = 3


class TextStream:
    """The text of one request's tokens, piece by piece. One per request."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Decode with the given tokenizer, which no other thread may be using."""
        self._tokenizer = tokenizer
        # tokens whose text is out; decoders that strip a leading space need to see them
        self._context: list[int] = []
        self._pending: list[int] = []
        self._n_given = 0

    def push(self, token: int) -> str:
        """The text that a token completes; empty while a character is incomplete."""
        self._pending.append(token)
        return self._take(hold_back=True)

    def flush(self) -> str:
        """What is still held back: bytes that never became a character, as U+FFFD."""
        return self._take(hold_back=False)

    def _take(self, *, hold_back: bool) -> str:
        text = self._decode([*self._context, *self._pending])
        whole = _without_incomplete_end(text) if hold_back else text
        piece = whole[self._n_given :]
        self._n_given = max(self._n_given, len(whole))
        if whole == text:
            self._settle()
        return piece

    def _settle(self) -> None:
        shown = self._decode(self._pending)
        self._context = self._pending if shown else [*self._context, *self._pending]
        self._pending = []
        self._n_given = len(self._decode(self._context))

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def _without_incomplete_end(text: str) -> str:
    """Without the end that the next bytes may still turn into a character (at most three bytes)."""
    n_broken = len(text) - len(text.rstrip(_BROKEN))
    return text[: len(text) - min(n_broken, _MOST_BYTES_MISSING)]
