"""An evaluation as one HTML file that needs nothing else: words, tables and inline pictures."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from recal.evaluation.exhibits import Exhibits
from recal.evaluation.pictures.curves import delta_curve, gate_curve, has_curves
from recal.evaluation.pictures.forest import forest
from recal.evaluation.pictures.histogram import histogram, shown_thresholds
from recal.evaluation.pictures.ink import Picture, looks
from recal.evaluation.pictures.losses import losses
from recal.evaluation.pictures.refusals import refusals
from recal.evaluation.pictures.scatter import by_class, by_language
from recal.evaluation.report import ALL_LANGUAGES, ArmReport, EvaluationReport
from recal.evaluation.summary import summary
from recal.evaluation.tables import (
    Table,
    arm_table,
    comparison_tables,
    delta_table,
    gate_tables,
    judge_table,
    loss_tables,
    low_first,
    prompt_test_table,
    readout_table,
    tier_tables,
)
from recal.evaluation.wording import duration

_TEMPLATE = "report.html.jinja"


class Section(NamedTuple):
    """A heading with its words, pictures and tables."""

    anchor: str
    title: str
    words: str
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    """Open to the eye."""
    folded: tuple[Table, ...] = ()
    """Behind a fold: what a picture shows, as numbers."""
    small: bool = False
    """True: many small pictures beside one another."""


def write_html(report: EvaluationReport, exhibits: Exhibits, path: Path) -> None:
    """Write the file.

    Raises:
        ImportError: matplotlib is not installed; `refuse_without_matplotlib` says so in words.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_html(report, exhibits), encoding="utf-8")


def to_html(report: EvaluationReport, exhibits: Exhibits) -> str:
    """The report as one page: no script, nothing fetched."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = Markup  # made by `ink`, which quotes what it is given
    environment.filters["code"] = _code
    source = (files("recal.evaluation") / _TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        report=report,
        summary=summary(report),
        sections=_sections(report, exhibits),
        took=duration(report.seconds),
    )


def _code(text: str) -> Markup:
    """Words in backticks as code, everything else escaped."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _sections(report: EvaluationReport, exhibits: Exhibits) -> list[Section]:
    tiers = [tier.tier for tier in report.untouched.tiers]
    found = [
        Section(
            "methods",
            "Methods by tier",
            "Refusal selectivity Δ is harmful minus harmless refusal: 100 would be perfect, 0 is a "
            "model that does not tell the classes apart.",
            tuple(forest(report, tier) for tier in tiers),
            tables=tier_tables(report)[:1],
            folded=tier_tables(report)[1:],
        ),
        _languages(report),
        _gate(report, tiers),
        Section(
            "scores",
            "Scores and thresholds",
            _legend(report),
            tuple(histogram(report, exhibits, each) for each in low_first(report)),
            folded=(readout_table(report),),
            small=True,
        ),
        Section(
            "activations",
            "Activations",
            "Two axes of largest variance of what the readout reads. They are a look at it, not "
            "what decides: the readout weighs all of it.",
            (
                by_class(exhibits),
                *(by_language(report, exhibits, t) for t in tiers if t != ALL_LANGUAGES),
            ),
        ),
        _comparisons(report),
        Section(
            "arms",
            "Every arm by language",
            "All numbers of each arm.",
            folded=tuple(arm_table(report, arm) for arm in report.arms),
        ),
    ]
    if report.losses:
        found.insert(2, _losses(report, tiers))
    if report.judge_labels:
        found.append(_judge(report))
    return found


def _languages(report: EvaluationReport) -> Section:
    shown = report.arm(report.reference)
    return Section(
        "languages",
        "Languages",
        "Low-resource languages stand first.",
        tuple(refusals(report, arm) for arm in (shown, *_beside(report))),
        folded=(delta_table(report),),
    )


def _beside(report: EvaluationReport) -> list[ArmReport]:
    """The first other method that could be deployed, at its largest k."""
    reference = report.arm(report.reference)
    others = [
        arm
        for arm in report.arms[1:]
        if arm.method != reference.method and not arm.sees_labels and arm.k in (0, reference.k)
    ]
    return others[:1]


def _gate(report: EvaluationReport, tiers: list[str]) -> Section:
    pictures: tuple[Picture, ...] = ()
    if has_curves(report):
        pictures = (
            *(delta_curve(report, tier) for tier in tiers[:1]),
            *(gate_curve(report, tier) for tier in tiers[:1]),
        )
    return Section(
        "draws",
        "Few-shot draws",
        "Every draw takes other examples, so every draw sets another threshold. An operator has "
        "one draw: look at the 5th percentile and the worst one, not at the mean alone. In a tier, "
        "mean, SD and 5th percentile are means over its languages, the worst is the worst of all.",
        pictures,
        tables=gate_tables(report)[:1],
        folded=gate_tables(report)[1:],
    )


def _losses(report: EvaluationReport, tiers: list[str]) -> Section:
    return Section(
        "losses",
        "Where the points are lost",
        "The oracle gate knows the true labels: what it still lacks, acting loses. What a method "
        "lacks against the oracle, its gate loses: by its readout what even the best threshold "
        "lacks, by its threshold the rest. The three losses and Δ add up to 100.",
        tuple(losses(report, tier) for tier in dict.fromkeys((tiers[0], tiers[-1]))),
        folded=loss_tables(report),
    )


def _comparisons(report: EvaluationReport) -> Section:
    return Section(
        "comparisons",
        "Comparisons",
        "Differences are paired by language, draw and prompt. p is the bootstrap's, two-sided; "
        "Holm's correction is over the other arms that can be deployed, and apart from them over "
        "the bounds. McNemar's test counts the prompts of one language that one arm alone gets "
        "right in most draws.",
        tables=comparison_tables(report)[:1],
        folded=(*comparison_tables(report)[1:], prompt_test_table(report)),
    )


def _judge(report: EvaluationReport) -> Section:
    return Section(
        "judge",
        "The judge",
        "How often it finds what people call a refusal, and leaves what they do not, on labelled "
        "texts. Corrected numbers take these errors out, and their intervals allow for how few "
        "labels there are.",
        tables=(judge_table(report),),
    )


def _legend(report: EvaluationReport) -> str:
    names = {"-": "solid", "--": "dashed", "-.": "dash-dotted", ":": "dotted"}
    drawing = looks(list(dict.fromkeys(arm.method for arm in report.arms)))
    lines = [f"{arm.title} ({names[drawing[arm.method].line]})" for arm in shown_thresholds(report)]
    return (
        "Filled: harmful prompts; outlined: harmless ones. Steered is what lies at or right of a "
        f"threshold: {', '.join(lines) or 'none was set'}; its band holds 90 % of the draws. Thin "
        "dots: the source languages' own threshold. A language whose scores are shifted needs its "
        "own threshold; one whose classes overlap needs a better readout."
    )
