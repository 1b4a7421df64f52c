"""Pure: whether every part of a text is in the language that the whole was taken for."""

from __future__ import annotations

from collections.abc import Mapping

from services.language_id.cleaning import segments

# The figures in this file were chosen with lid.176 on single sentences and on texts of eight
# sentences in 32 languages, and on an English prefix or first part before 22 languages.
_CONTRADICTION = 0.5
_NO_SUPPORT = 0.1
_NARROW_CHARACTERS = 32
_SHORT_CHARACTERS = 512
_ENGLISH_STEP = 52
_END_CHARACTERS = 128
_FEW_SEGMENTS = 12
_SHARED_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI"})
"""Scripts of many languages; elsewhere a part in another language shows as another script."""


def sample(text: str) -> str:
    """The text, or pieces from its beginning to its end when it is long."""
    if len(text) <= _SHORT_CHARACTERS:
        return text
    return " ".join(segments(text, at_most=_FEW_SEGMENTS))


def parts(text: str, language: str, script: str | None) -> tuple[str, ...]:
    """The pieces that must agree with the text's language; none for a text of one piece.

    English is the language to hide behind and the one that models know best, so a short English
    text, and the end of a long one, where the request usually is, are cut finer; the rest overlaps.
    """
    if script not in _SHARED_SCRIPTS:
        found = segments(text, at_most=_FEW_SEGMENTS)
    elif language != "en":
        found = segments(text)
    elif len(text) <= _SHORT_CHARACTERS:
        found = segments(text, width=_NARROW_CHARACTERS)
    else:
        found = segments(text, step=_ENGLISH_STEP) + segments(
            text[-_END_CHARACTERS:], width=_NARROW_CHARACTERS
        )
    return found if len(found) > 1 else ()


def contradicts(language: str, part: str, reading: Mapping[str, float]) -> bool:
    """True when a part is in another language than the text.

    Args:
        language: what the whole text was taken for.
        part: one of `parts`.
        reading: the model's probabilities for the part.
    """
    support = reading.get(language, 0.0)
    if language == "en" and support < _english_support(part):
        return True
    return support < _NO_SUPPORT and max(reading.values(), default=0.0) >= _CONTRADICTION


def _english_support(part: str) -> float:
    return 0.15 if len(part) < 1.5 * _NARROW_CHARACTERS else 0.35
