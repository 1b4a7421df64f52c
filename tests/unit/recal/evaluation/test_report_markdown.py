from dataclasses import replace

from recal.evaluation.report_markdown import opening, to_markdown
from tests.unit.recal.evaluation.stage import asked, evaluated

REPORT = evaluated().report
PAGE = to_markdown(REPORT)


def test_the_page_opens_with_what_the_model_is_and_the_summary() -> None:
    lines = list(opening(REPORT))
    assert lines[0] == "# Evaluation of `synthetic` with readout `readout@1`"
    assert lines[2] == "> a fake"
    assert "**Found**" in lines
    assert not [line for line in opening(replace(REPORT, notice="")) if line.startswith(">")]


def test_every_table_is_rectangular() -> None:
    blocks = [block.splitlines() for block in PAGE.split("\n\n") if block.startswith("| ")]
    assert len(blocks) > 20
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1


def test_an_empty_table_says_so() -> None:
    assert "None." in to_markdown(replace(REPORT, prompt_tests=()))


def test_no_text_of_a_prompt_is_on_the_page() -> None:
    assert not any(p.text in PAGE for p in asked().prompts)
