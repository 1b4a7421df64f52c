from __future__ import annotations

from recal.foreign import foreign_warnings
from recal.prompts import Prompt
from services.domain import Abstention, LanguageGuess
from services.language_id.identifier import LanguageIdService

SWAHILI = "Tafadhali nieleze jinsi ya kupika chakula cha jioni kwa ajili ya familia yangu nzima"
ENGLISH = "Please explain to me how to cook an evening meal for my whole family at home"


def prompt(identity: str, text: str, language: str = "sw") -> Prompt:
    return Prompt(identity, language, True, text, "calibration")


async def test_an_example_in_another_language_is_named_by_its_id() -> None:
    examples = [prompt("a", SWAHILI), prompt("b", ENGLISH)]
    (warning,) = await foreign_warnings(examples, LanguageIdService().identify)
    assert "example `b` is said to be `sw` and reads as `en`" in warning
    assert "meal" not in warning


async def test_an_abstention_says_nothing() -> None:
    async def abstains(text: str) -> LanguageGuess:
        return LanguageGuess(None, 0.2, Abstention.TOO_SHORT)

    assert await foreign_warnings([prompt("a", "x")], abstains) == []


async def test_a_script_or_region_is_not_held_against_an_example() -> None:
    async def chinese(text: str) -> LanguageGuess:
        return LanguageGuess("zh", 0.9)

    assert await foreign_warnings([prompt("a", "x", "zh-Hant")], chinese) == []
    assert len(await foreign_warnings([prompt("a", "x", "ja")], chinese)) == 1
