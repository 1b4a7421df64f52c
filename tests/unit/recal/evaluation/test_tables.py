"""Tables: every row as wide as its header, and the numbers of the report in them."""

from __future__ import annotations

import pytest

from recal.evaluation.judging import Judging
from recal.evaluation.tables import (
    Table,
    all_tables,
    arm_table,
    comparison_tables,
    gate_tables,
    low_first,
    tier_tables,
)
from recal.evaluation.wording import interval
from recal.maths.decomposition import PERFECT, JudgeError
from tests.unit.recal.evaluation.stage import evaluated, run
from tests.unit.recal.treated import LiteralJudge

REPORT = evaluated().report
TABLES = [*all_tables(REPORT), *(arm_table(REPORT, arm) for arm in REPORT.arms)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.caption)
def test_every_row_is_as_wide_as_the_header(table: Table) -> None:
    assert table.caption
    assert {len(row) for row in table.rows} <= {len(table.header)}


def test_tables_do_not_share_a_caption() -> None:
    captions = [table.caption for table in TABLES]
    assert len(set(captions)) == len(captions)


def test_a_tiers_table_has_every_arm_with_its_delta() -> None:
    table = tier_tables(REPORT)[0]
    column = table.header.index("Δ")
    assert [row[0] for row in table.rows] == [arm.title for arm in REPORT.arms]
    assert [row[column] for row in table.rows] == [
        interval(arm.tier("low").delta) for arm in REPORT.arms
    ]


def test_where_nothing_was_steered_there_is_no_rate() -> None:
    table = tier_tables(REPORT)[0]
    assert table.rows[0][table.header.index("refused when steered %")] == "–"


def test_corrected_rates_have_a_column_where_the_judge_errs() -> None:
    judged = run(("recal",), judging=Judging(LiteralJudge(), JudgeError(0.9, 0.9))).report
    assert "corrected Δ" in tier_tables(judged)[0].header
    assert "corrected Δ" not in tier_tables(REPORT)[0].header
    perfect = run(("recal",), judging=Judging(LiteralJudge(), PERFECT)).report
    assert "corrected Δ" not in tier_tables(perfect)[0].header


def test_arms_that_decide_nothing_have_no_row_among_the_gates() -> None:
    rows = {row[0] for row in gate_tables(REPORT)[0].rows}
    assert rows == {arm.title for arm in REPORT.arms} - {
        "untouched model",
        "steer every prompt",
        "release every prompt",
    }


def test_the_judges_loss_is_not_said_to_be_zero_where_it_is_not_known() -> None:
    loss = next(t for t in TABLES if "from 100 points" in t.caption)
    assert {row[-1] for row in loss.rows} == {"not known"}


def test_the_thinnest_covered_languages_stand_first() -> None:
    assert [r.language for r in low_first(REPORT)] == ["sw", "yo", "ar", "en"]


def test_every_other_arm_is_compared_in_every_tier() -> None:
    tables = comparison_tables(REPORT)
    assert [len(table.rows) for table in tables] == [len(REPORT.arms) - 1] * 4
