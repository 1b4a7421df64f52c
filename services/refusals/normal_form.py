"""Pure: text as refusals are compared: without case, marks, commas and what stands in quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Scripts that write words without spaces between them: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    *(("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff")),
    *(("\u3040", "\u30ff"), ("\u3400", "\u9fff")),
)
# Marks that writers leave out: accents and tones, Hebrew and Arabic points, the nukta of Hindi.
# Marks of other scripts are vowels, and stay.
_LEFT_OUT = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u093c]"
)
_APOSTROPHES = "’ʼ‘`´"
_COMMAS = ",،、，፣፡"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u0640"
_SAME = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_COMMAS, " ")
    | dict.fromkeys(_INVISIBLE, "")
    # Persian and Arabic forms of one letter, and two spellings of the Hindi nasal
    | {"\u06cc": "\u064a", "\u0649": "\u064a", "\u06a9": "\u0643", "\u0901": "\u0902"}
)
_KHMER_SUBSCRIPTS = ("\u17d2\u178a", "\u17d2\u178f")
_QUOTED = re.compile(r'"[^"\n]*"|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』')
_END = r"(?:(?<!\d)\.|[!?…。！？।॥።؟۔។៕။])"
# An item of a list starts no sentence: it is what a sentence lists.
_SKIPPED = r'[^\w\n"“„«「『]*'
_START = re.compile(rf"(?:\A|{_END}|\n(?!\s*(?:[-*•]|\d+[.)]))){_SKIPPED}")


def plain(text: str) -> str:
    """Text without case, left-out marks, commas, invisible letters and quotations.

    Straight apostrophes, single spaces, in NFC; a line break stays one.
    """
    folded = unicodedata.normalize("NFD", _unquoted(text).casefold())
    bare = _LEFT_OUT.sub("", folded).translate(_SAME)
    composed = unicodedata.normalize("NFC", bare).replace(*_KHMER_SUBSCRIPTS)
    return "\n".join(line for part in composed.split("\n") if (line := " ".join(part.split())))


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence of a plain text begins and ends."""
    starts = [match.end() for match in _START.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        if start < end and text[start] != "\n":
            yield start, end


def starts_word(text: str, at: int) -> bool:
    """True where a word may begin; anywhere in a script without spaces."""
    return at == 0 or is_unspaced(text[at]) or not _is_letter(text[at - 1])


def ends_word(text: str, at: int) -> bool:
    """True where a word may have ended before `at`; anywhere in a script without spaces."""
    return at >= len(text) or is_unspaced(text[at - 1]) or not _is_letter(text[at])


def is_unspaced(character: str) -> bool:
    """True for a letter of a script that puts no spaces between words."""
    return any(first <= character <= last for first, last in _UNSPACED)


def _unquoted(text: str) -> str:
    """Without quotations; a text that is one whole quotation is what stands in it."""
    stripped = text.strip()
    if (whole := _QUOTED.fullmatch(stripped)) is not None:
        return whole.group()[1:-1]
    return _QUOTED.sub(' " ', stripped)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
