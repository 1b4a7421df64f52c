"""Lists of refusals on disk: every field is checked, and the file is named."""

from pathlib import Path

import pytest

from services.errors import ArtefactRefused
from services.refusals.lists import Phrase, load_refusals

GOOD = """\
language: xx
reply: Nay.
openings: [Nay, Nevermo…, NAY]
inner: [I shall nay]
leads: []
exceptions: []
"""


def load(folder: Path, text: str):
    (folder / "xx.yaml").write_text(text, encoding="utf-8")
    return load_refusals(folder)


def test_phrases_are_read_in_plain_form_and_once(tmp_path: Path) -> None:
    (read,) = load(tmp_path, GOOD)
    assert read.openings == (Phrase("nay"), Phrase("nevermo", whole=False))
    assert (read.reply, read.inner, read.leads) == ("Nay.", (Phrase("i shall nay"),), ())


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (GOOD.replace("reply: Nay.\n", ""), "openings, inner"),
        (GOOD + "notes: none\n", "notes"),
        (GOOD.replace("language: xx", "language: no"), "`language` is a bool"),
        (GOOD.replace("language: xx", "language: yy"), "`yy`"),
        (GOOD.replace("Nay.", "''"), "`reply` is empty"),
        (GOOD.replace("[Nay, Nevermo…, NAY]", "[]"), "`openings` must be"),
        (GOOD.replace("[I shall nay]", "nay"), "`inner` must be"),
        (GOOD.replace("[I shall nay]", "[nay, 7]"), "`inner[1]` is a int"),
        (GOOD.replace("[I shall nay]", "[nay, ',']"), "`inner[1]` holds no words"),
        ("[", "is no YAML"),
        ("- a", "no fields"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_field(tmp_path: Path, broken: str, field: str) -> None:
    with pytest.raises(ArtefactRefused) as refused:
        load(tmp_path, broken)
    assert "`xx.yaml`" in str(refused.value)
    assert field in str(refused.value)
