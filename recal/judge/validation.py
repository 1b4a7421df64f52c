"""A judge held against people: what it misses and invents, by language, kept for corrections."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from recal.judge.exchange import Judge, Judgement
from recal.judge.labels import LabelledExchange, Labels
from recal.judge.reply_language import LanguageOf, reply_language
from recal.maths.agreement import Agreement, agreement
from recal.maths.judge_error import JudgeError

SCHEMA_VERSION = 1
ENOUGH_LABELS = 100
"""Labels of a language from which its own error rates say more than all languages' together."""
UNKNOWN = "und"
"""BCP 47 for a language that nothing names."""

_AT_ONCE = 64

Report = Callable[[int, int], None]
"""Called with texts judged and texts in all."""


@dataclass(frozen=True)
class JudgeValidation:
    """What a judge said of texts that people had judged."""

    judge: str
    """The judge's name: the rates are those of no other."""
    labels_digest: str
    """sha256 of the file of labels."""
    languages: Mapping[str, Agreement]
    """By the prompt's language."""
    degenerate: Mapping[str, int]
    """How many texts the judge called degenerate, by language; they count as no refusals."""

    @property
    def together(self) -> Agreement:
        """All languages' counts."""
        return reduce(add, self.languages.values())

    def has_own(self, language: str) -> bool:
        """True where a language has `ENOUGH_LABELS`, of both kinds, for error rates of its own."""
        own = self.languages.get(language)
        return own is not None and own.n >= ENOUGH_LABELS and _has_both(own)

    def error_of(self, language: str) -> JudgeError:
        """What to correct a language's rates with: its own error rates, or all languages'.

        Raises:
            ValueError: the labels lack a kind altogether.
        """
        if self.has_own(language):
            own = self.languages[language]
            return JudgeError(own.sensitivity, own.specificity)
        if not _has_both(self.together):
            raise ValueError(
                f"the labels that `{self.judge}` was validated on are all of one kind; label "
                "refusals and answers"
            )
        return JudgeError(self.together.sensitivity, self.together.specificity)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for a file."""
        return {
            "schema_version": SCHEMA_VERSION,
            "judge": self.judge,
            "labels_digest": self.labels_digest,
            "languages": {
                language: {**counts._asdict(), "degenerate": self.degenerate[language]}
                for language, counts in sorted(self.languages.items())
            },
        }


def validate(
    judge: Judge,
    labels: Labels,
    *,
    language_of: LanguageOf = reply_language,
    report: Report = lambda done, total: None,
) -> JudgeValidation:
    """Let a judge judge what people have judged.

    Args:
        judge: is held against them.
        labels: what people say.
        language_of: names a prompt's language where the labels do not.
        report: called as texts are judged.
    """
    judged: list[Judgement] = []
    for start in range(0, len(labels.rows), _AT_ONCE):
        part = labels.rows[start : start + _AT_ONCE]
        judged += judge.judge_all([row.exchange for row in part])
        report(len(judged), len(labels.rows))
    groups: dict[str, list[tuple[LabelledExchange, Judgement]]] = {}
    for row, judgement in zip(labels.rows, judged, strict=True):
        language = row.language or language_of(row.exchange.prompt) or UNKNOWN
        groups.setdefault(language, []).append((row, judgement))
    return JudgeValidation(
        judge=judge.name,
        labels_digest=labels.digest,
        languages={
            language: agreement([j.refused for _, j in pairs], [row.refused for row, _ in pairs])
            for language, pairs in groups.items()
        },
        degenerate={la: sum(j.degenerate for _, j in pairs) for la, pairs in groups.items()},
    )


def save_validation(validation: JudgeValidation, path: Path) -> None:
    """Write a validation as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(validation.to_json(), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def load_validation(path: Path, *, judge: str) -> JudgeValidation:
    """Read the validation of a judge.

    Args:
        path: what `save_validation` wrote.
        judge: name of the judge whose rates are to be corrected.

    Raises:
        ValueError: the file is not there, not of the form, or of another judge.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
        rows = document["languages"].items() if version == SCHEMA_VERSION else ()
        counts = {la: Agreement(*(int(row[f]) for f in Agreement._fields)) for la, row in rows}
        found = JudgeValidation(
            judge=document["judge"],
            labels_digest=document["labels_digest"],
            languages=counts,
            degenerate={language: int(row["degenerate"]) for language, row in rows},
        )
    except FileNotFoundError:
        raise ValueError(
            f"there is no validation `{path}`; make one with `recal judge validate`"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"`{path.name}` is no validation of a judge ({type(error).__name__}); make one with "
            "`recal judge validate`"
        ) from None
    if not counts:
        raise ValueError(
            f"`{path.name}` is of schema {version} or empty; this version reads {SCHEMA_VERSION}: "
            "make it again with `recal judge validate`"
        )
    if found.judge != judge:
        raise ValueError(
            f"`{path.name}` validates `{found.judge}`, and the judge is `{judge}`; validate the "
            "judge that is used"
        )
    return found


def _has_both(counts: Agreement) -> bool:
    return counts.sensitivity.of > 0 and counts.specificity.of > 0
