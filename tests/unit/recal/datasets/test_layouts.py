"""Published layouts, read from small files made up here."""

import json

import pytest

from recal.datasets.layouts import File, Published, detect, read_file
from recal.errors import DatasetRefused

ROW = {
    "id": "set:yo:1",
    "source": "set",
    "lang": "yo",
    "label": "harmful",
    "text": "first",
    "parallel_id": "set:1",
    "split": "val",
    "license": "MIT",
}


def lines(*rows: dict) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def file(content: bytes | str, name: str = "p.jsonl", **others: object) -> File:
    raw = content.encode() if isinstance(content, str) else content
    return File(name, raw, **others)  # type: ignore[arg-type]


def test_rows_with_labels_and_parallel_ids_are_read() -> None:
    other = {**ROW, "id": "set:yo:2", "label": "harmless", "parallel_id": None, "split": None}
    assert read_file(file(lines(ROW, other))) == [
        Published("set:yo:1", "yo", True, "first", "set:1", "validation"),
        Published("set:yo:2", "yo", False, "first", "", None),
    ]


def test_our_own_lines_are_read_and_their_id_joins_translations() -> None:
    row = {"id": "car", "language": "sw", "harmful": False, "text": "x", "split": "test"}
    found = read_file(file(lines(row, {**row, "id": "a", "parallel_id": "b"})))
    assert [(p.id, p.parallel_id, p.split) for p in found] == [
        ("car", "car", "test"),
        ("a", "b", "test"),
    ]


def test_polyrefuse_says_label_split_and_language_in_its_name_and_joins_by_the_english() -> None:
    translated = [
        {"instruction": "one ", "instruction_translated": "ọ̀kan", "category": None},
        {"instruction": "two", "instruction_translated": "èjì", "category": None},
    ]
    english = [{"instruction": "two", "category": None}]
    yoruba = read_file(
        file(json.dumps(translated), name="harmless_val_translated_yo.json"), "polyrefuse"
    )
    (two,) = read_file(file(json.dumps(english), name="harmless_val.json"), "polyrefuse")
    assert [(p.language, p.harmful, p.split, p.text) for p in yoruba] == [
        ("yo", False, "validation", "ọ̀kan"),
        ("yo", False, "validation", "èjì"),
    ]
    assert two.parallel_id == yoruba[1].parallel_id != yoruba[0].parallel_id
    assert two.language == "en"


def test_polyrefuse_under_another_name_is_refused() -> None:
    with pytest.raises(DatasetRefused, match="`p.jsonl` is not named"):
        read_file(file("[]"), "polyrefuse")


def test_multijail_has_a_column_for_each_language() -> None:
    content = 'id,source,en,sw,tags\n7,red,"one, two",moja,"[\'x\']"\n8,red,three,,\n'
    found = read_file(file(content, name="MultiJail.csv"))
    assert [(p.id, p.language, p.text) for p in found] == [
        ("multijail:7:en", "en", "one, two"),
        ("multijail:7:sw", "sw", "moja"),
        ("multijail:8:en", "en", "three"),
    ]
    assert found[0].parallel_id == found[1].parallel_id
    assert all(p.harmful for p in found)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("id,prompt,type,label\n1,a,homonyms,safe\n2,b,contrast_homonyms,unsafe\n", [False, True]),
        ("id_v2,type,prompt\nv1,homonyms,a\nv2,contrast_homonyms,b\n", [False, True]),
    ],
)
def test_xstest_is_labelled_by_label_or_type(content: str, labels: list[bool]) -> None:
    found = read_file(file(content, name="xstest.csv"))
    assert [p.harmful for p in found] == labels
    assert {p.language for p in found} == {"en"}


def test_sealsbench_has_a_row_for_each_language() -> None:
    content = (
        "Unnamed: 0,ID,prompt,category,label,origin,target_language\n"
        "0,5,a,c,unsafe,o,th\n1,5,b,c,Unsafe,o,my\n"
    )
    found = read_file(file(content, name="s.csv"))
    assert [(p.language, p.harmful, p.parallel_id) for p in found] == [
        ("th", True, "sealsbench:5"),
        ("my", True, "sealsbench:5"),
    ]


def test_plain_lines_take_language_and_label_from_the_caller() -> None:
    content = '"one, two"\n\nthree\n'
    found = read_file(file(content, name="Insult.csv", language="ar", harmful=True), "lines")
    assert [(p.id, p.text, p.parallel_id) for p in found] == [
        ("Insult.csv:ar:1", "one, two", ""),
        ("Insult.csv:ar:3", "three", ""),
    ]
    with pytest.raises(DatasetRefused, match="neither language nor label"):
        read_file(file(content), "lines")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({**ROW, "label": "evil secret"}, "row 2: a field does not hold"),
        ({**ROW, "split": "secret"}, "row 2: a field does not hold"),
        ({k: v for k, v in ROW.items() if k != "text"}, "row 2: no field `text`"),
        ({**ROW, "text": " "}, "row 2: the text is empty"),
        ({**ROW, "text": 7}, "row 2: the text is empty"),
        ({**ROW, "lang": "xx"}, "row 2: `xx` is no BCP 47 tag"),
        ({**ROW, "lang": "Yoruba"}, "row 2: `Yoruba` is no BCP 47 tag"),
    ],
)
def test_a_row_that_is_not_of_the_layout_is_named_by_number(row: dict, complaint: str) -> None:
    with pytest.raises(DatasetRefused, match=complaint) as caught:
        read_file(file(lines(ROW, row)))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (lines(ROW) + b"\n{secret", "row 2: no JSON"),
        (b"{\xff", "not UTF-8 at byte 1"),
        (b"secret stuff", "layout of `p.jsonl` cannot be told"),
        (b"id,source,en\n", "holds no prompts"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes, complaint: str) -> None:
    with pytest.raises(DatasetRefused, match=complaint) as caught:
        read_file(file(content))
    assert "secret" not in str(caught.value)


def test_a_label_of_that_name_does_not_make_rows_our_own_lines() -> None:
    assert detect(file(lines({"label": "harmful", "lang": "yo"}))) == "rows"
    assert detect(file(lines({"harmful": True}))) == "recal"


def test_an_unknown_layout_is_named() -> None:
    with pytest.raises(DatasetRefused, match="no layout `parquet`"):
        read_file(file(lines(ROW)), "parquet")
