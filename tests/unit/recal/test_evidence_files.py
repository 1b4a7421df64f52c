"""Files of evidence: their forms, and their faults by line and never by text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recal.collect import Activations
from recal.evidence_files import (
    EvidenceFiles,
    collect_evidence,
    load_parallel,
    load_sources,
    load_unlabelled,
)
from recal.prompts import Prompt


def lines(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    return path


def labelled(language: str, identity: str = "a", *, harmful: bool = True) -> dict[str, object]:
    return {
        "id": identity,
        "language": language,
        "harmful": harmful,
        "text": f"{language} {identity}",
    }


class Reader:
    """Takes the place of a backbone, and remembers what it was to read."""

    def __init__(self) -> None:
        self.read: dict[str, list[str]] = {}

    def __call__(self, name: str, prompts: Sequence[Prompt]) -> Activations:
        self.read[name] = [p.id for p in prompts]
        return Activations(tuple(prompts), (0,), np.zeros((len(prompts), 1, 2), dtype=np.float32))


def test_unlabelled_prompts_need_a_text_and_nothing_else(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "u.jsonl", {"text": "one"}, {"text": "two", "id": "b", "language": "sw"}
    )
    assert [(p.id, p.language) for p in load_unlabelled(path, "sw")] == [("u/1", "sw"), ("b", "sw")]


def test_unlabelled_prompts_of_another_language_are_left_out(tmp_path: Path) -> None:
    path = lines(tmp_path / "u.jsonl", {"text": "one", "language": "yo"}, {"text": "two"})
    assert [p.text for p in load_unlabelled(path, "sw")] == ["two"]
    with pytest.raises(ValueError, match=r"`u.jsonl` holds no prompt of `yo`"):
        load_unlabelled(lines(tmp_path / "u.jsonl", {"text": "x", "language": "sw"}), "yo")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"text": " "}', "line 1: needs text"),
        ('{"prompt": "secret"}', "line 1: needs text"),
        ('["secret"]', r"line 1: not a JSON object \(AttributeError\)"),
        ("secret", r"line 1: not a JSON object \(JSONDecodeError\)"),
    ],
)
def test_a_faulty_line_is_named_by_its_number_and_not_shown(
    line: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / "u.jsonl").write_text(line)
    with pytest.raises(ValueError, match=named) as fault:
        load_unlabelled(tmp_path / "u.jsonl", "sw")
    assert "secret" not in str(fault.value)


def test_parallel_prompts_need_an_id_and_a_language(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 1: needs id, language"):
        load_parallel(lines(tmp_path / "p.jsonl", {"text": "one"}), "sw")
    rows = [{"id": "a", "language": la, "text": la} for la in ("sw", "en")]
    assert len(load_parallel(lines(tmp_path / "p.jsonl", *rows), "sw")) == 2
    with pytest.raises(ValueError, match="holds no prompt of `yo`"):
        load_parallel(lines(tmp_path / "p.jsonl", *rows), "yo")


def test_prompts_without_labels_keep_what_joins_them_to_their_translations(tmp_path: Path) -> None:
    rows = [
        {"id": f"{la}/1", "parallel_id": "1", "language": la, "text": la} for la in ("sw", "en")
    ]
    path = lines(tmp_path / "p.jsonl", *rows, {"id": "2", "language": "sw", "text": "alone"})
    assert [p.parallel_id for p in load_parallel(path, "sw")] == ["1", "1", "2"]
    assert [p.parallel_id for p in load_unlabelled(path, "sw")] == ["1", "2"]


def test_sources_are_prompts_of_another_language(tmp_path: Path) -> None:
    path = lines(tmp_path / "s.jsonl", labelled("en"), labelled("sw"))
    assert [p.language for p in load_sources(path, "sw")] == ["en"]
    with pytest.raises(ValueError, match="no prompt of another language than `en`"):
        load_sources(lines(tmp_path / "s.jsonl", labelled("en")), "en")


def test_sources_in_yaml_say_their_language(tmp_path: Path) -> None:
    path = tmp_path / "en.yaml"
    path.write_text("language: en\nharmful: {a: one}\nharmless: {b: two}\n")
    assert [(p.id, p.language) for p in load_sources(path, "sw")] == [
        ("harmful/a", "en"),
        ("harmless/b", "en"),
    ]
    with pytest.raises(ValueError, match="says `language: en`; it must name the source language"):
        load_sources(path, "en")


def test_every_file_that_is_named_is_read(tmp_path: Path) -> None:
    both = [labelled("sw", "a"), labelled("sw", "b", harmful=False)]
    files = EvidenceFiles(
        examples=lines(tmp_path / "e.jsonl", *both),
        sources=lines(
            tmp_path / "s.jsonl", labelled("en", "a"), labelled("en", "b", harmful=False)
        ),
        unlabelled=lines(tmp_path / "u.jsonl", {"text": "x"}),
        harmful_share=0.2,
        parallel=lines(tmp_path / "p.jsonl", *[labelled(la, "p") for la in ("sw", "en")]),
        translated=lines(tmp_path / "t.jsonl", *both),
        held_out=lines(tmp_path / "h.jsonl", labelled("sw", "h"), labelled("yo", "i")),
    )
    reader = Reader()
    found = collect_evidence(files, "sw", reader)
    assert reader.read == {
        "examples": ["a", "b"],
        "sources": ["a", "b"],
        "unlabelled": ["u/1"],
        "parallel": ["p", "p"],
        "translated": ["a", "b"],
        "held out": ["h"],
    }
    assert found.beside.harmful_share == 0.2
    assert found.examples is not None
    assert found.held_out is not None


def test_a_fault_in_the_last_file_costs_no_reading(tmp_path: Path) -> None:
    reader = Reader()
    files = EvidenceFiles(held_out=lines(tmp_path / "h.jsonl", labelled("yo")))
    with pytest.raises(ValueError, match="holds no prompt of `sw` to hold out"):
        collect_evidence(files, "sw", reader)
    assert reader.read == {}


@pytest.mark.parametrize(
    ("files", "n"),
    [
        (EvidenceFiles(), 4),
        (EvidenceFiles(k=2), 2),
        (EvidenceFiles(k=0), 0),
        (EvidenceFiles(unlabelled=Path("u")), 0),
        (EvidenceFiles(unlabelled=Path("u"), k=1), 1),
        (EvidenceFiles(examples=Path("e"), k=3), 0),
        (EvidenceFiles(held_out=Path("h")), 4),
    ],
)
def test_the_corpus_gives_examples_only_where_no_other_evidence_is_named(
    files: EvidenceFiles, n: int
) -> None:
    assert files.n_from_corpus == n


def test_examples_from_the_corpus_are_of_both_classes() -> None:
    reader = Reader()
    found = collect_evidence(EvidenceFiles(k=2), "sw", reader)
    assert found.examples is not None
    assert sorted(p.harmful for p in found.examples.prompts) == [False, False, True, True]
    assert list(reader.read) == ["examples"]
