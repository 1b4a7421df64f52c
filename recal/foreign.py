"""Examples that are in another language than they are said to be in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from recal.prompts import Prompt
from services.domain import LanguageGuess

Identify = Callable[[str], Awaitable[LanguageGuess]]
"""Text to its language, or an abstention: `LanguageIdService.identify`."""


async def foreign_warnings(prompts: Iterable[Prompt], identify: Identify) -> list[str]:
    """One sentence for each prompt that identification takes for another language than its own.

    Where it abstains there is nothing to say: short and mixed texts are left to the operator. A
    region or script is not held against a prompt (`zh-Hant` is named `zh`).
    """
    found = []
    for prompt in prompts:
        guess = await identify(prompt.text)
        if guess.language is not None and _bare(guess.language) != _bare(prompt.language):
            found.append(
                f"example `{prompt.id}` is said to be `{prompt.language}` and reads as "
                f"`{guess.language}` ({guess.confidence:.0%}); check the file or the tag"
            )
    return found


def _bare(tag: str) -> str:
    return tag.partition("-")[0].lower()
