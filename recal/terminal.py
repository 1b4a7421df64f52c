"""What may be written to a terminal: a model's or a server's text without control characters."""

from __future__ import annotations

import unicodedata

_KEPT = "\n\t"


def printable(text: str) -> str:
    """The text with every control character but line feed and tab replaced.

    An escape sequence in generated text could otherwise recolour, retitle or overwrite the screen.
    Format characters stay: Sinhala, Khmer and Persian need their joiners.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" and c not in _KEPT else c
        for c in text
    )
