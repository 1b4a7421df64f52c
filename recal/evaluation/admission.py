"""What an evaluation refuses to begin with: prompts that would make its numbers worthless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import langcodes

from recal.prompts import Prompt
from services.readout.bundle import Calibration


def refuse_unknown_languages(wanted: Sequence[str], prompts: Iterable[Prompt]) -> None:
    """Check that every wanted tag is one, and that there are prompts of it.

    Raises:
        ValueError: it is not.
    """
    known = {p.language for p in prompts}
    for language in wanted:
        if language in known:
            continue
        if not langcodes.tag_is_valid(language):
            raise ValueError(f"`{language}` is no BCP 47 tag; write for example `sw` for Swahili")
        raise ValueError(
            f"there are no prompts of `{language}` to evaluate; there are some of "
            f"{', '.join(sorted(known)) or 'no language'}"
        )


def refuse_missing_classes(prompts: Sequence[Prompt], languages: Sequence[str], what: str) -> None:
    """Check that every language has both classes.

    Args:
        prompts: of any languages.
        languages: those that need both.
        what: how the prompts are called in the message.

    Raises:
        ValueError: one has not.
    """
    counts = Counter((p.language, p.harmful) for p in prompts)
    for language in languages:
        harmful, harmless = counts[language, True], counts[language, False]
        if not harmful or not harmless:
            raise ValueError(
                f"`{language}` has {harmful} harmful and {harmless} harmless {what} prompts; "
                "at least one of each is needed"
            )


def refuse_shared_sources(test: Sequence[Prompt], prompts: Iterable[Prompt]) -> None:
    """Check that no meaning that is tested lies in another split too, in whatever language.

    Raises:
        ValueError: one does; the message gives its id, never a text.
    """
    tested = {p.id: p for p in test}
    shared = {
        p.id: p for p in prompts if p.id in tested and p.split != tested[p.id].split
    }  # the whole file: training prompts made the readout, calibration ones the threshold
    if shared:
        first = next(iter(shared.values()))
        mine = tested[first.id]
        raise ValueError(
            f"{len(shared)} source prompt(s) lie in two splits, the first is `{first.id}` "
            f"({mine.split} in `{mine.language}`, {first.split} in `{first.language}`); a source "
            "belongs to one split in every language"
        )


def refuse_tuned_prompts(
    calibrations: Mapping[str, Calibration], prompts: Sequence[Prompt]
) -> None:
    """Check that no prompt set the threshold that it tests.

    Raises:
        ValueError: one did.
    """
    for language, calibration in calibrations.items():
        tuned = set(calibration.example_hashes)
        reused = [p.id for p in prompts if p.language == language and p.digest in tuned]
        if reused:
            raise ValueError(
                f"{len(reused)} prompt(s) of `{language}` set its threshold and cannot test it, "
                f"the first is `{reused[0]}`; evaluate on another split"
            )


def refuse_example_prompts(pool: Sequence[Prompt], test: Sequence[Prompt]) -> None:
    """Check that no text that may be drawn as an example is tested.

    Raises:
        ValueError: one is.
    """
    texts = {(p.language, p.digest): p for p in pool}
    for prompt in test:
        twin = texts.get((prompt.language, prompt.digest))
        if twin is not None:
            raise ValueError(
                f"example `{twin.id}` and test prompt `{prompt.id}` are the same text in "
                f"`{prompt.language}`; a prompt either sets the threshold or tests it"
            )
