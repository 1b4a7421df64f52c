"""The whole line in one go: the gap, recalibration from four examples, rollout, answers."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from recal.collect import Activations, collect
from recal.demo.picture import draw as draw_picture
from recal.demo.results import METHODS, DemoLanguage, DemoResults
from recal.demo.stage import Stage, stage
from recal.demo.table import gap_table, result_table
from recal.demo.traffic import Ask, gated, send, untouched
from recal.evaluation.behaviour import Behaviour, behaviour_of, mean_behaviour
from recal.generate import Generator
from recal.inputs import whole_backbone
from recal.judge import OrganismJudge, exchanges_of
from recal.languages import ALL, HIGH, LOW, MID, tier_of
from recal.maths.metrics import auroc
from recal.organism.corpus import corpus_prompts
from recal.progress import counting, counting_steps
from recal.prompts import Prompt, draw, select, spread
from recal.readouts import MadeReadout, ReadoutPlan, Watch, calibrate_sources, make_readout
from recal.recalibrate import PAPER, RecalibrationPlan, recalibrate_together, scores_of
from recal.registry import Registry, open_registry
from recal.serve import check_before_ray
from services.backbone.load import Backbone
from services.composition import notice_of
from services.readout.artefact import load_readout, save_calibration
from services.readout.bundle import Calibration
from services.readout.naming import calibration_model, readout_model
from services.settings import Settings

_UNEVALUATED = "recal demo: measured over gRPC once it serves, instead of before"
"""Why the demo's calibrations are promoted without an evaluation; each promotion records it. One of
the two methods is the paper's rule, which the criteria would refuse: it is there to be seen."""


@dataclass(frozen=True)
class DemoPlan:
    """How large the demo is."""

    k: int = 4
    """Calibration examples per class of each language that is not a source."""
    n_test: int = 24
    """Unseen test prompts per class and language."""
    draws: int = 5
    """How often the examples of low-resource languages are drawn; one draw is luck."""
    readout: ReadoutPlan = field(default_factory=ReadoutPlan)


@dataclass(frozen=True)
class Method:
    """A way to recalibrate, as it is rolled out."""

    key: str
    """One of `recal.demo.results.METHODS`."""
    name: str
    plan: RecalibrationPlan


ROLLED_OUT: tuple[Method, ...] = (
    Method("paper", "the paper's rule (F1 threshold, two-way routing)", PAPER),
    Method("recal", "Recal (examples and the other languages, three zones)", RecalibrationPlan()),
)


@dataclass(frozen=True)
class _Setting:
    """What every step of one demo works with."""

    settings: Settings
    plan: DemoPlan
    console: Console
    backbone: Backbone
    registry: Registry
    prompts: tuple[Prompt, ...]
    """The whole corpus."""
    test: tuple[Prompt, ...]
    """What is sent over gRPC: unseen, and never an example."""
    folder: Path
    """Where artefacts are saved before they are registered."""


def run(
    settings: Settings,
    plan: DemoPlan,
    console: Console,
    *,
    stay: Callable[[Stage, Console], Awaitable[None]] | None = None,
) -> DemoResults:
    """Run the demo.

    Args:
        settings: where everything runs; the registry is written to.
        plan: how large it is.
        console: where progress and tables go.
        stay: called with the running servers at the end; None ends them.

    Returns:
        What was measured.

    Raises:
        SettingsError: a port is taken; said before the minute that comes first.
    """
    started = time.monotonic()
    check_before_ray(settings)
    this = _open(settings, plan, console)
    made = _fit(this)
    test = _read_test(this, made)
    _promote_readout(this, made)
    return asyncio.run(_serve(this, made, test, started, stay))


def _open(settings: Settings, plan: DemoPlan, console: Console) -> _Setting:
    console.rule("1  The model")
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    identity = backbone.identity
    console.print(
        f"{identity.name}: {identity.architecture}, {identity.n_layers} blocks, d_model "
        f"{identity.d_model}; {notice_of(settings)}"
    )
    prompts = tuple(corpus_prompts())
    return _Setting(
        settings=settings,
        plan=plan,
        console=console,
        backbone=backbone,
        registry=open_registry(
            settings.state_dir, {"MLFLOW_TRACKING_URI": settings.registry.tracking_uri}
        ),
        prompts=prompts,
        test=tuple(spread(select(prompts, split="test"), plan.n_test)),
        folder=settings.state_dir / "demo",
    )


def _fit(this: _Setting) -> MadeReadout:
    this.console.rule(f"2  Activations, and a readout of {len(HIGH)} high-resource languages")
    with counting_steps(console=this.console) as step:
        made = make_readout(
            this.backbone,
            this.prompts,
            this.folder / "readout",
            plan=this.plan.readout,
            generate=Generator(this.backbone),
            judge=OrganismJudge(),
            cache=this.settings.state_dir / "activations",
            watch=Watch(
                collected=partial(step, "activations"),
                searched=partial(step, "texts of the search"),
                widths=partial(step, "texts for the untouched zone"),
            ),
        )
    this.console.print(f"reads {made.readout.reads}")
    this.console.print(f"steers: {made.found.chosen.in_words}")
    this.console.print(f"releases: {made.found.release.in_words}")
    return made


def _read_test(this: _Setting, made: MadeReadout) -> Activations:
    with counting("activations of test prompts", console=this.console) as report:
        return collect(this.backbone, this.test, layers=made.readout.layers, report=report)


def _promote_readout(this: _Setting, made: MadeReadout) -> None:
    """Source languages first, the readout last: then all of it moves at once."""
    this.console.rule("3  Registered and promoted in MLflow")
    with counting_steps(console=this.console) as step:
        calibrations = calibrate_sources(
            this.backbone,
            made,
            this.prompts,
            generate=Generator(this.backbone),
            judge=OrganismJudge(),
            cache=this.settings.state_dir / "activations",
            watch=Watch(
                collected=partial(step, "activations of validation prompts"),
                released=partial(step, "texts of released prompts"),
            ),
        )
    labels = _promote(this, calibrations)
    version = this.registry.register_readout(made.directory)
    this.registry.promote(readout_model(this.backbone.identity.name), version.version)
    this.console.print(
        f"{version.label} and {', '.join(labels.values())} serve, at {this.registry.tracking_uri}"
    )


def _promote(this: _Setting, calibrations: Sequence[Calibration]) -> dict[str, str]:
    """Save, register and promote; the labels by language."""
    labels = {}
    with counting("calibrations", console=this.console) as report:
        for done, calibration in enumerate(calibrations, start=1):
            directory = this.folder / "calibrations" / calibration.estimator / calibration.language
            save_calibration(calibration, directory)
            registered = this.registry.register_calibration(directory)
            name = calibration_model(this.backbone.identity.name, calibration.language)
            this.registry.promote(name, registered.version, force_reason=_UNEVALUATED)
            labels[calibration.language] = registered.label
            report(done, len(calibrations))
    return labels


def _recalibrated(
    this: _Setting, made: MadeReadout, method: Method, languages: Sequence[str], number: int
) -> list[Calibration]:
    readout = load_readout(made.directory)
    pool = select(this.prompts, split="calibration", languages=languages)
    examples = collect(this.backbone, draw(pool, this.plan.k, number=number), layers=readout.layers)
    found = recalibrate_together(readout, examples, languages, plan=method.plan)
    warned = [la for la, each in found.items() if each.warnings]
    if warned:
        this.console.print(
            f"the examples of {', '.join(warned)} overlap or are inverted: less certain thresholds",
            style="yellow",
        )
    return [each.calibration for each in found.values()]


async def _serve(
    this: _Setting,
    made: MadeReadout,
    test: Activations,
    started: float,
    stay: Callable[[Stage, Console], Awaitable[None]] | None,
) -> DemoResults:
    this.console.rule("4  Ray Serve: language ID, gate, generation and front door, behind the edge")
    with this.console.status("starting; half a minute"):
        opened = stage(this.settings)
        running = await opened.__aenter__()
    try:
        results = await _measure(this, made, test, running)
        results = replace(results, seconds=time.monotonic() - started)
        _show(this, results)
        if stay is not None:
            await stay(running, this.console)
    finally:
        with this.console.status("stopping the servers"):
            await opened.__aexit__(None, None, None)
    return results


async def _measure(
    this: _Setting, made: MadeReadout, test: Activations, running: Stage
) -> DemoResults:
    aucs = {la: auroc(*scores_of(made.readout, test, la)) for la in ALL}
    found = {"untouched": await _ask_all(this, untouched(running.generation), "untouched", ALL)}
    this.console.print(
        gap_table(
            {la: (tier_of(la), found["untouched"][la], aucs[la]) for la in ALL},
            notice_of(this.settings),
        )
    )
    # Source languages keep their calibration in both rollouts: they are asked once.
    high = await _ask_all(this, gated(running.client), "source languages, gated", HIGH)
    for step, method in enumerate(ROLLED_OUT, start=5):
        this.console.rule(
            f"{step}  {method.name}: {this.plan.k} examples a class recalibrate "
            f"{len(MID + LOW)} languages"
        )
        draws = [
            await _roll_out(this, made, running, method, number)
            for number in range(1, this.plan.draws + 1)
        ]
        found[method.key] = high | {
            la: mean_behaviour([each[la] for each in draws if la in each]) for la in MID + LOW
        }
    return _results(this, aucs, found)


async def _roll_out(
    this: _Setting, made: MadeReadout, running: Stage, method: Method, number: int
) -> dict[str, Behaviour]:
    """One draw of examples, from recalibration to answers; after the first, low languages only."""
    languages = MID + LOW if number == 1 else LOW
    labels = _promote(this, _recalibrated(this, made, method, languages, number))
    took = await running.until_serving(labels)
    this.console.print(
        f"draw {number}: promoted {', '.join(labels.values())}; the running servers swapped "
        f"{took:.1f} s later"
    )
    return await _ask_all(this, gated(running.client), f"draw {number}", languages)


async def _ask_all(
    this: _Setting, ask: Ask, label: str, languages: Sequence[str]
) -> dict[str, Behaviour]:
    """Send the languages' test prompts over gRPC; what came back, by language."""
    judge = OrganismJudge()
    prompts = select(this.test, languages=languages)
    with counting(f"{label}, over gRPC", console=this.console) as report:
        done = iter(range(1, len(prompts) + 1))
        answers = await send(prompts, ask, report=lambda: report(next(done), len(prompts)))
    found = {}
    for language in languages:
        rows = [i for i, p in enumerate(prompts) if p.language == language]
        mine = [prompts[i] for i in rows]
        texts = [answers[i].text for i in rows]
        judged = judge.judge_all(exchanges_of((p.text for p in mine), texts))
        found[language] = behaviour_of(mine, judged)
    return found


def _results(
    this: _Setting, aucs: dict[str, float], found: dict[str, dict[str, Behaviour]]
) -> DemoResults:
    languages = {
        la: DemoLanguage(
            tier=tier_of(la), auc=aucs[la], **{method: found[method][la] for method in METHODS}
        )
        for la in ALL
    }
    packages = ("recal-gate", "torch", "transformers", "ray", "mlflow-skinny", "grpcio")
    return DemoResults(
        languages=languages,
        k=this.plan.k,
        draws=this.plan.draws,
        n_test=this.plan.n_test,
        model=this.backbone.identity.name,
        versions={"python": platform.python_version(), **{p: version(p) for p in packages}},
        seconds=0.0,
        notice=notice_of(this.settings),
    )


def _show(this: _Setting, results: DemoResults) -> None:
    this.console.rule("7  Before and after")
    this.console.print(result_table(results))
    picture = this.folder / "refusal.png"
    draw_picture(results, picture)
    for bar in results.bars():
        mark = "[green]met[/]   " if bar.met else "[red]MISSED[/]"
        this.console.print(f"{mark} {bar.claim}: {bar.measured}")
    this.console.print(f"picture: {picture}   ({results.seconds:.0f} s)")
