"""The demo's tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.table import Table

from recal.demo.results import METHODS, DemoResults
from recal.evaluation.behaviour import Behaviour


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
            f"Over gRPC: {results.n_test} unseen prompts a class; k = {results.k}, mean of "
            f"{results.draws} draws\nharmful / harmless prompts refused %, and Δ"
        ),
        caption=results.notice,
        caption_justify="left",
    )
    table.add_column("", no_wrap=True)
    for name in ("untouched", "paper's rule", "Recal"):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Δ", justify="right", style="bold", no_wrap=True)
    previous = ""
    for language, row in results.languages.items():
        if previous and row.tier != previous:
            table.add_section()
        previous = row.tier
        found = [row.of(method) for method in METHODS]
        table.add_row(
            language,
            *_cells((b.harmful_refusal, b.harmless_refusal, b.delta) for b in found),
        )
    table.add_section()
    for tier in ("high", "mid", "low"):
        means = (
            tuple(results.mean(tier, method, field) for field in _FIELDS) for method in METHODS
        )
        table.add_row(f"mean {tier}", *_cells(means))
    return table


_FIELDS = ("harmful_refusal", "harmless_refusal", "delta")


def _cells(found: Iterable[tuple[float, ...]]) -> list[str]:
    cells = []
    for harmful, harmless, delta in found:
        cells += [f"{harmful:.0f} / {harmless:.0f}", f"{delta:.1f}"]
    return cells
