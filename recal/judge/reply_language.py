"""The language of a reply: models often answer, and refuse, in another than they were asked in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from services.language_id.identifier import LanguageIdService

LanguageOf = Callable[[str], str | None]
"""A text to its BCP 47 tag; None where none can be named."""


def reply_language(text: str) -> str | None:
    """The language of a text by the language identification that serves; None: it abstains."""
    return _service().guess(text).language


@cache
def _service() -> LanguageIdService:
    return LanguageIdService()
