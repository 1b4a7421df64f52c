"""`recal evaluate`: methods on held-out prompts, in every language and draw."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from recal.commands import options

if TYPE_CHECKING:
    from recal.evaluation.intake import Intake, Wanted
    from recal.evaluation.judging import Judging
    from recal.evaluation.plan import EvaluationPlan
    from recal.evaluation.run import Evaluated
    from recal.judge import Judge
    from recal.maths.decomposition import JudgeError
    from services.settings import Settings


class Answers(StrEnum):
    """How long generated texts lie on disk."""

    UNTIL_DONE = "until-done"
    """So that a stopped run goes on."""
    KEEP = "keep"
    """For runs with other methods too."""
    NEVER = "never"

    def file_in(self, out: Path) -> Path | None:
        """Where they lie; None: nowhere."""
        return out / "answers.jsonl" if self is not Answers.NEVER else None

    def end(self, file: Path | None) -> None:
        """Delete what was only for a stopped run; answers to harmful prompts are among it."""
        if file is not None and self is Answers.UNTIL_DONE:
            file.unlink()


_Methods = Annotated[
    str,
    typer.Option(
        help="Comma-separated: untouched (always there), paper, recal, saved, best, oracle, "
        "recal_pairs, translate_train, distil and direction (own readouts), steer_all, "
        "release_all, ablate_all, gate_addition, adasteer, adasteer_decode, alphasteer, cast, "
        "cast_adapted, or the name of an estimator."
    ),
]
_Ks = Annotated[str, typer.Option("--k", help="Examples per class, e.g. 1,2,4.")]
_Draws = Annotated[int, typer.Option(help="Draws whose answers are generated.")]
_GateDraws = Annotated[int, typer.Option(help="Draws for the gate alone; 50 or more.")]
_Against = Annotated[
    str, typer.Option(help="What others are compared with, e.g. recal@4; recal, else saved.")
]
_Split = Annotated[str, typer.Option(help="test, or heldout for unseen subjects.")]
_PerClass = Annotated[int, typer.Option(min=1, help="Prompts per class and language.")]
_Languages = Annotated[
    str, typer.Option(help="Comma-separated tags; all that there are prompts of.")
]
_Out = Annotated[Path, typer.Option(help="Folder for files that are not named below.")]
_Html = Annotated[Path | None, typer.Option("--html", help="Default: OUT/report.html.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Default: OUT/report.json.")]
_Markdown = Annotated[Path | None, typer.Option("--markdown", help="Default: OUT/report.md.")]
_Answers = Annotated[
    Answers,
    typer.Option(
        help="How long texts lie in OUT/answers.jsonl, which you alone may read: until the run is "
        "done, so that a stopped one goes on from there; kept, for runs with other methods; or "
        "never."
    ),
]
_Sensitivity = Annotated[
    float | None, typer.Option(help="Share of true refusals that the judge sees.")
]
_Specificity = Annotated[
    float | None, typer.Option(help="Share of other answers that it does not call refusals.")
]
_Validation = Annotated[
    Path | None,
    typer.Option(
        "--judge-validation",
        help="What `recal judge validate` wrote of this judge: rates are corrected by it.",
    ),
]
_Resamples = Annotated[int, typer.Option(help="Of the bootstrap, at least 100.")]
_Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap.")]


def evaluate(
    methods: _Methods = "untouched,saved",
    k: _Ks = "4",
    draws: _Draws = 5,
    gate_draws: _GateDraws = 50,
    against: _Against = "",
    readout: options.ReadoutDirectory = Path("var/readout"),
    calibrations: options.CalibrationsDirectory = Path("var/calibrations"),
    prompts: options.Prompts = "corpus",
    split: _Split = "test",
    per_class: _PerClass = 40,
    languages: _Languages = "",
    out: _Out = Path("var/evaluation"),
    html: _Html = None,
    json_file: _Json = None,
    markdown: _Markdown = None,
    answers: _Answers = Answers.UNTIL_DONE,
    judge: options.JudgeName = "phrases",
    judge_validation: _Validation = None,
    sensitivity: _Sensitivity = None,
    specificity: _Specificity = None,
    resamples: _Resamples = 2000,
    seed: _Seed = 0,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Compare methods: refusal, selectivity, gate and losses by language, with intervals.

    With its default methods it measures the saved calibrations beside the untouched model, which
    `recal register --report` stores with a version.
    """
    from recal.evaluation.intake import Wanted
    from recal.evaluation.plan import EvaluationPlan
    from recal.inputs import settings_of
    from recal.prompts import split_named

    _refuse_without_pictures()
    ks = options.numbers_of(k)
    plan = EvaluationPlan(
        ks, draws, gate_draws, n_resamples=resamples, seed=seed, reference=against
    )
    wanted = Wanted(
        methods=options.names_of(methods),
        languages=options.languages_of(languages) if languages else (),
        prompts=prompts,
        split=split_named(split),
        per_class=per_class,
        ks=plan.ks,
        readout=readout,
        calibrations=calibrations,
        answers=answers.file_in(out),
    )
    settings = settings_of(config, model)
    judging = _judging(judge, settings, (sensitivity, specificity), judge_validation)
    evaluated = _run(wanted, _read(wanted, settings, judging.judge), plan, judging)
    _write(evaluated, Files.of(out, html=html, json=json_file, markdown=markdown))
    answers.end(wanted.answers)


def _refuse_without_pictures() -> None:
    """Now, not after an hour of generating."""
    from recal.evaluation.pictures.ink import refuse_without_matplotlib

    refuse_without_matplotlib()


def _read(wanted: Wanted, settings: Settings, judge: Judge) -> Intake:
    from recal.evaluation.intake import take_in
    from recal.progress import counting_steps

    with counting_steps() as told:
        return take_in(wanted, settings, judge=judge, told=told)


class Files(NamedTuple):
    """Where the report goes."""

    html: Path
    json: Path
    markdown: Path

    @classmethod
    def of(cls, out: Path, *, html: Path | None, json: Path | None, markdown: Path | None) -> Files:
        """Those that are named, the others in `out`."""
        return cls(
            html if html is not None else out / "report.html",
            json if json is not None else out / "report.json",
            markdown if markdown is not None else out / "report.md",
        )


def _stated(
    sensitivity: float | None, specificity: float | None, validation: Path | None
) -> JudgeError | None:
    from recal.maths.decomposition import JudgeError

    if sensitivity is None and specificity is None:
        return None
    if sensitivity is None or specificity is None:
        raise ValueError(
            "`--sensitivity` and `--specificity` belong together; give both or neither"
        )
    if validation is not None:
        raise ValueError(
            "`--judge-validation` measures what `--sensitivity` and `--specificity` state; give "
            "one or the other"
        )
    return JudgeError(sensitivity, specificity)


def _judging(
    name: str,
    settings: Settings,
    shares: tuple[float | None, float | None],
    validation: Path | None,
) -> Judging:
    from recal.evaluation.judging import Judging
    from recal.inputs import judge_of
    from recal.judge import OrganismJudge
    from recal.judge.validation import load_validation
    from recal.maths.decomposition import PERFECT

    stated = _stated(*shares, validation)
    judge = judge_of(name, device=settings.backbone.device)
    if validation is not None:
        return Judging(judge, validation=load_validation(validation, judge=judge.name))
    # every proper answer of the organism is known to its judge
    known = PERFECT if isinstance(judge, OrganismJudge) else None
    return Judging(judge, stated if stated is not None else known)


def _run(wanted: Wanted, intake: Intake, plan: EvaluationPlan, judging: Judging) -> Evaluated:
    from recal.evaluation.answers import Watch
    from recal.evaluation.run import evaluate as run
    from recal.evaluation.tally import Context
    from recal.evaluation.wording import duration
    from recal.progress import counting

    with counting("texts written and judged") as written:
        return run(
            intake.methods,
            intake.test,
            intake.pool,
            languages=intake.languages,
            plan=plan,
            writer=intake.generator,
            judging=judging,
            context=Context(
                backbone=intake.backbone.identity.name,
                readout=intake.readout,
                split=wanted.split,
                notice=intake.notice,
            ),
            watch=Watch(
                planned=lambda work: typer.echo(
                    f"{work.n_answers:,} answers, of which {work.n_texts:,} are different texts, "
                    f"{work.n_kept:,} of them written by an earlier run"
                ),
                expected=lambda seconds: typer.echo(f"about {duration(seconds)} to go"),
                written=written,
            ),
        )


def _write(evaluated: Evaluated, files: Files) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from recal.evaluation.report_html import write_html
    from recal.evaluation.report_json import write_json
    from recal.evaluation.report_markdown import opening, write_markdown
    from recal.evaluation.wording import duration

    write_json(evaluated.report, files.json)
    write_markdown(evaluated.report, files.markdown)
    write_html(evaluated.report, evaluated.exhibits, files.html)
    console = Console()
    console.print(Markdown("\n".join(opening(evaluated.report))))
    console.print(
        f"after {duration(evaluated.report.seconds)}: {files.html}, {files.json}, {files.markdown}"
    )
