"""Pure: letters borrowed from another script for their look are put back."""

from __future__ import annotations

import re

# After Unicode Technical Standard 39, for letters that a reader does not tell apart.
_CYRILLIC = dict(zip("асеорхуіјѕкһьтмԁԛԝӏ", "aceopxyijskhbtmdqwl", strict=True)) | dict(
    zip("АВЕКМНОРСТХУІЈЅԚԜ", "ABEKMHOPCTXYIJSQW", strict=True)
)
_GREEK = dict(zip("αεορχυικτνη", "aeopxuiktvn", strict=True)) | dict(
    zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)
)
_TO_LATIN = str.maketrans({**_CYRILLIC, **_GREEK})
_TO_CYRILLIC = str.maketrans({latin: own for own, latin in _CYRILLIC.items()})
_TO_GREEK = str.maketrans({latin: own for own, latin in _GREEK.items()})

_LATIN_LETTER = re.compile("[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]")
_OTHER_LETTER = re.compile("[ͱ-ϿЀ-ԯ]")
_OWN_LATIN = frozenset("fgrzDFGLNRUV") | {chr(c) for c in range(0xC0, 0x250)}
_OWN_CYRILLIC = {chr(c) for c in range(0x400, 0x530)} - set(_CYRILLIC)
_OWN_GREEK = {chr(c) for c in range(0x386, 0x3CF)} - set(_GREEK)


def fold_lookalikes(text: str) -> str:
    """Rewrite words that mix Latin with Cyrillic or Greek letters in one of the two.

    A word is rewritten only when every borrowed letter has a twin in the other script; where both
    ways are open, the script that the text uses unmistakably decides. Other words stay. Case
    counts: Н looks like H, its small form like no Latin letter.
    """
    if text.isascii() or not (_OTHER_LETTER.search(text) and _LATIN_LETTER.search(text)):
        return text
    characters = set(text)
    latin, cyrillic, greek = (
        sum(map(text.count, characters & own)) for own in (_OWN_LATIN, _OWN_CYRILLIC, _OWN_GREEK)
    )
    to_latin = latin >= max(cyrillic, greek)
    borrowed = _OTHER_LETTER if to_latin else _LATIN_LETTER
    return " ".join(
        _rewritten(word, latin_first=to_latin) if borrowed.search(word) else word
        for word in text.split(" ")
    )


def _rewritten(word: str, *, latin_first: bool) -> str:
    """A word with borrowed letters in one script, or as it is when neither script can hold it."""
    latin = word.translate(_TO_LATIN)
    if latin_first and not _OTHER_LETTER.search(latin):
        return latin
    if _OTHER_LETTER.search(word):
        for table in (_TO_CYRILLIC, _TO_GREEK):
            own = word.translate(table)
            if _LATIN_LETTER.search(word) and not _LATIN_LETTER.search(own):
                return own
        if not _OTHER_LETTER.search(latin):
            return latin
    return word
