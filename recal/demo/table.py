"""The demo's tables on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.table import Table

from recal.demo.results import METHODS, DemoResults
from recal.evaluate import Behaviour


def gap_table(rows: dict[str, tuple[str, Behaviour, float]], notice: str) -> Table:
    """The gap: refusal of the untouched model beside what its activations know.

    Args:
        rows: by language, tier, behaviour and AUC of the readout.
        notice: what the model is.
    """
    table = Table(title="The gap: the untouched model", caption=notice, caption_justify="left")
    for column in ("language", "tier"):
        table.add_column(column)
    for column in ("harmful refused %", "harmless refused %", "Δ", "AUC of the readout"):
        table.add_column(column, justify="right")
    previous = ""
    for language, (tier, behaviour, auc) in rows.items():
        if previous and tier != previous:
            table.add_section()
        previous = tier
        table.add_row(
            language,
            tier,
            f"{behaviour.harmful_refusal:.0f}",
            f"{behaviour.harmless_refusal:.0f}",
            f"{behaviour.delta:.0f}",
            f"{auc:.3f}",
        )
    return table


def result_table(results: DemoResults) -> Table:
    """Harmful and harmless refusal and Δ of every language under three ways of serving."""
    table = Table(
        box=SIMPLE,
        title=(
            f"Refused %, over gRPC: {results.n_test} unseen prompts a class, k = {results.k}, "
            f"{results.draws} draws"
        ),
        caption=results.notice,
        caption_justify="left",
    )
    table.add_column("")
    for name in ("untouched", "paper", "Recal"):
        table.add_column(f"{name}\nharm", justify="right", no_wrap=True)
        table.add_column("\nharmless", justify="right", no_wrap=True)
        table.add_column("\nΔ", justify="right", style="bold", no_wrap=True)
    previous = ""
    for language, row in results.languages.items():
        if previous and row.tier != previous:
            table.add_section()
        previous = row.tier
        cells = []
        for behaviour in (row.untouched, row.paper, row.recal):
            cells += [
                f"{behaviour.harmful_refusal:.0f}",
                f"{behaviour.harmless_refusal:.0f}",
                f"{behaviour.delta:.0f}",
            ]
        table.add_row(language, *cells)
    table.add_section()
    for tier in ("high", "mid", "low"):
        means = [
            f"{results.mean(tier, method, field):.1f}"
            for method in METHODS
            for field in ("harmful_refusal", "harmless_refusal", "delta")
        ]
        table.add_row(f"mean {tier}", *means)
    return table
