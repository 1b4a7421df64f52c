"""A text stream that leaves out what is printed with certain words in it."""

from __future__ import annotations

from typing import Any, TextIO


class Muted:
    """Passes everything on to another stream, but not a `print` whose text holds the words."""

    def __init__(self, stream: TextIO, words: str) -> None:
        """Leave `words` out of `stream`."""
        self._stream = stream
        self._words = words
        self._ends_line = False

    def write(self, text: str) -> int:
        """Write, or leave it out; `print` writes the end of its line by itself."""
        if self._words in text:
            self._ends_line = not text.endswith("\n")
            return len(text)
        if self._ends_line and text == "\n":
            self._ends_line = False
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the other stream's."""
        return getattr(self._stream, name)
