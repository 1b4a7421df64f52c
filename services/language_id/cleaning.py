"""Pure: a prompt made ready for language identification. The backbone reads it untouched."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from services.language_id.counting import counted
from services.language_id.lookalikes import fold_lookalikes

SEGMENT_CHARACTERS = 64
"""Width of a segment; a narrower one is often misread in the languages that lid.176 knows least."""
MAX_SEGMENTS = 512
"""Text that does not fit into these is sampled, evenly from its beginning to its end."""
_OVERLAPPED_SEGMENTS = 24
_SNAP_CHARACTERS = 12
_FEW_REPLACEMENTS = 64

_LINK = re.compile(r"(?:https?://|www\.)[!-~]+|[\w.+-]+@[\w-]+\.[\w.-]+")
# Scripts that spell with joiners or divide words by a zero-width space: Arabic, Syriac, the Indic
# ones with Sinhala, Thai, Lao, Tibetan, Myanmar, Khmer, Mongolian.
_JOINING = (
    "\u0600-\u07bf\u08a0-\u0fff\u1000-\u109f\u1780-\u18af\u19e0-\u19ff"
    "\ua8e0-\ua8ff\ua9e0-\ua9ff\uaa60-\uaa7f"
)
_STRAY_JOINER = re.compile(
    f"(?<![{_JOINING}])[\u200b-\u200d]+|[\u200b-\u200d]+(?![{_JOINING}])",
)
_STACKED_MARKS = re.compile("([\u0300-\u036f]{2})[\u0300-\u036f]+")
_JOINERS = frozenset("\u200b\u200c\u200d")
_KEPT = frozenset("'-") | _JOINERS
_APOSTROPHES = frozenset("’ʼ‘`´")
# Letters and marks by their category, but invisible.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | frozenset(
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)
# Styled copies of ordinary letters. `<compat>` stays: it would break up Thai and Lao vowels.
_STYLED = tuple(
    f"<{style}>"
    for style in (
        *("font", "wide", "narrow", "circle", "square", "super", "sub"),
        *("initial", "medial", "final", "isolated"),
    )
)


def clean(text: str) -> str:
    """Lower-case words and single spaces, without anything that hides or imitates a letter.

    Gone are links, digits, punctuation, symbols, control characters, tag characters, bidi controls,
    zero-width characters that no script needs and stacked accents. Styled letters (fullwidth,
    mathematical) and letters borrowed from another script for their look become ordinary ones.
    Joiners of scripts that spell with them stay. The result is in Unicode's NFC.
    """
    if "@" in text or "://" in text or "www." in text:
        text = _LINK.sub(" ", text)
    characters = counted(text).keys()
    text = _replaced(text, {c: r for c in characters if (r := _replacement(c)) != c})
    if _JOINERS & characters:
        text = _STRAY_JOINER.sub("", text)
    text = unicodedata.normalize("NFC", text)
    if any("\u0300" <= c <= "\u036f" for c in characters):
        text = _STACKED_MARKS.sub(r"\1", text)
    return fold_lookalikes(" ".join(text.split())).lower()


def segments(
    text: str,
    *,
    width: int = SEGMENT_CHARACTERS,
    step: int | None = None,
    at_most: int = MAX_SEGMENTS,
) -> tuple[str, ...]:
    """Pieces of about `width` characters, evenly spread, the first and the last always among them.

    They overlap by half while there are few of them, and cover the whole text as long as
    `at_most` of them can. Cuts move to the next space where there is one near.

    Args:
        text: as `clean` returns it.
        width: of a piece, in characters.
        step: at most this many characters from one piece to the next; None: `width`.
        at_most: no more pieces than this, even if that leaves gaps.
    """
    if len(text) <= width * 3 // 2:
        return (text,) if text else ()
    covering = math.ceil((len(text) - width) / (step or width)) + 1
    overlapping = min(2 * math.ceil(len(text) / width) - 1, _OVERLAPPED_SEGMENTS)
    count = min(max(covering, overlapping), at_most)
    gap = (len(text) - width) / (count - 1)
    return tuple(_piece(text, round(i * gap), width) for i in range(count))


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    if len(replacements) > _FEW_REPLACEMENTS:
        return text.translate({ord(c): replacement for c, replacement in replacements.items()})
    # For a few characters this is 20 times faster, outside ASCII, than `translate`.
    for character, replacement in replacements.items():
        text = text.replace(character, replacement)
    return text


@lru_cache(maxsize=16_384)
def _replacement(character: str) -> str:
    if character in _KEPT:
        return character
    if character in _APOSTROPHES:
        return "'"
    if unicodedata.decomposition(character).startswith(_STYLED):
        return "".join(_replacement(c) for c in unicodedata.normalize("NFKC", character))
    category = unicodedata.category(character)
    if character in _INVISIBLE or category in ("Cf", "Cs", "Co", "Cn"):
        return ""
    return character if category[0] in "LM" else " "


def _piece(text: str, start: int, width: int) -> str:
    end = start + width
    if start > 0:
        space = text.find(" ", start - 1, start + _SNAP_CHARACTERS)
        start = space + 1 if space >= 0 else start
    if end < len(text):
        space = text.find(" ", end, end + _SNAP_CHARACTERS)
        end = space if space >= 0 else end
    return text[start:end]
