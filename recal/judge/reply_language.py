"""The language of a reply: models often answer, and refuse, in another than they were asked in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from recal.judge.exchange import Exchange, Judgement, Outcome
from services.language_id.identifier import LanguageIdService

LanguageOf = Callable[[str], str | None]
"""A text to its BCP 47 tag; None where none can be named."""


def reply_language(text: str) -> str | None:
    """The language of a text by the language identification that serves; None: it abstains."""
    return _service().guess(text).language


def with_languages(
    exchanges: Iterable[Exchange], outcomes: Iterable[Outcome], language_of: LanguageOf
) -> list[Judgement]:
    """Judgements with the languages of the replies; of what is no reply, none is named."""
    return [
        Judgement.of(o, None if o is Outcome.DEGENERATE else language_of(e.text))
        for e, o in zip(exchanges, outcomes, strict=True)
    ]


@cache
def _service() -> LanguageIdService:
    return LanguageIdService()
