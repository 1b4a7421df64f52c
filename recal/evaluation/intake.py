"""From named files and languages to methods and prompts that may be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from recal.baselines.fitting import Allotted, Fitting, Told, allot
from recal.baselines.suffixes import ENGLISH, SuffixPair, organism_suffixes
from recal.collect import Activations, collect
from recal.evaluation.admission import (
    refuse_missing_classes,
    refuse_shared_sources,
    refuse_tuned_prompts,
    refuse_unknown_languages,
)
from recal.evaluation.catalogue import (
    SAVED,
    Material,
    are_few_shot,
    are_fitted,
    are_translated,
    methods_of,
)
from recal.evaluation.held import rows_of
from recal.evaluation.own_gate import translations_of
from recal.generate import Generator
from recal.inputs import prompts_from, whole_backbone
from recal.judge import Judge
from recal.kept_texts import KeptTexts, Runs
from recal.languages import ALL
from recal.method import Method
from recal.prompts import Prompt, Split, select, spread
from recal.trials import TreatedModel, TrialRun, refuses_by
from services.backbone.load import Backbone
from services.composition import ORGANISM_NOTICE, notice_of
from services.readout.artefact import load_calibration, load_readout, refuse_other_backbone
from services.readout.bundle import Bundle, Calibration, Readout
from services.settings import Settings

_TRAINING_PLAN = "training_plan.json"
"""Lies beside the weights of every organism that `recal organism train` makes."""


@dataclass(frozen=True)
class Wanted:
    """What is to be evaluated, as the command line names it."""

    methods: tuple[str, ...]
    languages: tuple[str, ...]
    """Empty: those with a saved calibration, where `saved` is a method; else all."""
    prompts: str
    """File of JSON lines, or `corpus`."""
    split: Split
    per_class: int
    ks: tuple[int, ...]
    readout: Path
    calibrations: Path
    answers: Path | None = None
    """File where texts are kept; None: they are lost with the run."""


_MAX_ROWS = 48
"""Texts that are written at once."""


class Intake(NamedTuple):
    """Everything that an evaluation runs on."""

    backbone: Backbone
    generator: Generator
    readout: Readout
    methods: list[Method]
    test: Activations
    pool: Activations
    languages: tuple[str, ...]
    notice: str


def take_in(
    wanted: Wanted,
    settings: Settings,
    *,
    judge: Judge,
    told: Told = lambda step, done, total: None,
) -> Intake:
    """Load, check, read, and fit what is fitted.

    Args:
        wanted: methods, languages and prompts.
        settings: name the backbone.
        judge: says what strength of a baseline refuses, and which released prompts do.
        told: called as prompts are read and baselines tried.

    Raises:
        ArtefactRefused: the backbone, readout or a calibration cannot be used.
        ValueError: prompts, languages or methods that cannot be evaluated, a calibration of
            another readout, or a file of kept texts that was changed, in words.
    """
    chosen = choose(wanted)  # before a backbone of many gigabytes is loaded
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    generator = _generator(backbone, wanted.answers)  # a changed file is found at once
    readout = _readout(wanted, chosen, backbone)
    allotted = _allotted(wanted, chosen, readout)
    read = _read(
        backbone,
        _wanted_prompts(wanted, chosen, readout, allotted),
        cache=settings.state_dir / "activations",
        report=partial(told, "prompts read"),
    )
    notice = _notice(settings)
    fitting = None
    if allotted is not None:
        fitting = _fitting(backbone, allotted, read.anchors, notice, generator, judge, told)
    released = TrialRun(generator, judge, report=partial(told, "texts of released prompts"))
    material = Material(
        readout,
        read.pool,
        chosen.calibrations,
        fitting,
        read.translations,
        refuses=refuses_by(released, readout.steering),
    )
    return Intake(
        backbone=backbone,
        generator=generator,
        readout=readout,
        methods=methods_of(wanted.methods, material),
        test=read.test,
        pool=read.pool,
        languages=chosen.languages,
        notice=notice,
    )


def _fitting(
    backbone: Backbone,
    allotted: Allotted,
    anchors: Activations,
    notice: str,
    model: TreatedModel,
    judge: Judge,
    told: Told,
) -> Fitting:
    return Fitting(
        backbone=backbone,
        anchors=anchors,
        validation=allotted.validation,
        sources=allotted.sources,
        development=allotted.development,
        suffixes=_suffixes(allotted.sources, notice),
        model=model,
        judge=judge,
        told=told,
    )


def _readout(wanted: Wanted, chosen: Chosen, backbone: Backbone) -> Readout:
    """The saved readout, whose calibrations belong to it and to the backbone."""
    readout = load_readout(wanted.readout, backbone=backbone.identity)
    for language, calibration in chosen.calibrations.items():
        refuse_other_backbone(
            calibration.backbone, backbone.identity, f"the saved calibration of `{language}`"
        )
    Bundle(readout, chosen.calibrations)  # refuses one that belongs to another readout
    return readout


class _Read(NamedTuple):
    test: Activations
    pool: Activations
    anchors: Activations
    translations: Activations


def _read(
    backbone: Backbone,
    parts: Sequence[Sequence[Prompt]],
    *,
    cache: Path,
    report: Callable[[int, int], None],
) -> _Read:
    """Read all parts in one go, so that there is one count and one estimate."""
    prompts = [prompt for part in parts for prompt in part]
    read = collect(backbone, prompts, cache=cache, report=report)
    ends = list(accumulate((len(part) for part in parts), initial=0))
    return _Read(*(rows_of(read, range(start, end)) for start, end in pairwise(ends)))


def _allotted(wanted: Wanted, chosen: Chosen, readout: Readout) -> Allotted | None:
    """What baselines are fitted on; None where none is wanted."""
    if not are_fitted(wanted.methods):
        return None
    return allot(chosen.every, readout.source_languages)


def _wanted_prompts(
    wanted: Wanted, chosen: Chosen, readout: Readout, allotted: Allotted | None
) -> tuple[list[Prompt], list[Prompt], list[Prompt], list[Prompt]]:
    """Prompts that are read: those of the test, examples, anchors and translations."""
    translations = []
    if are_translated(wanted.methods):
        translations = translations_of(chosen.every, chosen.languages, readout.source_languages)
    anchors = allotted.anchors if allotted is not None else []
    return chosen.test, chosen.examples, anchors, translations


def _generator(backbone: Backbone, answers: Path | None) -> Generator:
    kept = None
    if answers is not None:
        runs = Runs(backbone.identity, backbone.model.dtype, backbone.device.type)
        kept = KeptTexts(answers, runs)
    return Generator(backbone, max_rows=_MAX_ROWS, kept=kept)


def _suffixes(sources: Sequence[str], notice: str) -> Mapping[str, Sequence[SuffixPair]]:
    """An organism answers in every language, in its own words; others are asked in English."""
    if not notice:
        return ENGLISH
    return organism_suffixes([language for language in sources if language in ALL])


class Chosen(NamedTuple):
    """Prompts and calibrations that may be evaluated."""

    languages: tuple[str, ...]
    test: list[Prompt]
    examples: list[Prompt]
    """The calibration split; empty where no method draws from it."""
    calibrations: dict[str, Calibration]
    every: list[Prompt]
    """Of every split and language."""


def choose(wanted: Wanted) -> Chosen:
    """Read prompts and saved calibrations, and check all that can be checked without a model.

    Raises:
        ArtefactRefused: a saved calibration cannot be used.
        ValueError: prompts, languages or methods that cannot be evaluated, in words.
    """
    few_shot = [name for name in wanted.methods if are_few_shot((name,))]
    if few_shot and min(wanted.ks) < 1:
        raise ValueError(
            f"`k` is {min(wanted.ks)}, but `{few_shot[0]}` needs examples of each class; give k of "
            "at least 1"
        )
    every = prompts_from(wanted.prompts)
    saved = _saved(wanted)
    languages = wanted.languages or tuple(saved) or _languages_in(every)
    calibrations = {la: saved[la] for la in languages if la in saved}
    test, examples = _prompts(wanted, every, languages, few_shot=bool(few_shot))
    _refuse_uncalibrated(wanted, languages, calibrations)
    refuse_tuned_prompts(calibrations, test)
    return Chosen(languages, test, examples, calibrations, every)


def _saved(wanted: Wanted) -> dict[str, Calibration]:
    """Saved calibrations by language, in the paper's order; none where they are not evaluated."""
    if SAVED not in wanted.methods:
        return {}
    folders = sorted(path for path in wanted.calibrations.glob("*") if path.is_dir())
    loaded = [load_calibration(path) for path in folders]
    if not loaded:
        raise ValueError(
            f"no saved calibration in `{wanted.calibrations}`; run `recal recalibrate` first, or "
            "choose other methods"
        )
    return {c.language: c for c in sorted(loaded, key=lambda c: _order(c.language))}


def _refuse_uncalibrated(
    wanted: Wanted, languages: Sequence[str], saved: dict[str, Calibration]
) -> None:
    missing = [la for la in languages if la not in saved]
    if SAVED in wanted.methods and missing:
        raise ValueError(
            f"no saved calibration of {', '.join(missing)} in `{wanted.calibrations}`; run "
            "`recal recalibrate` first, or leave the languages or the method `saved` out"
        )


def _prompts(
    wanted: Wanted, every: Sequence[Prompt], languages: Sequence[str], *, few_shot: bool
) -> tuple[list[Prompt], list[Prompt]]:
    """Test prompts, and those that examples are drawn from."""
    refuse_unknown_languages(languages, every)
    test = select(every, split=wanted.split, languages=languages)
    refuse_missing_classes(test, languages, wanted.split)
    refuse_shared_sources(test, every)
    if not few_shot:
        return spread(test, wanted.per_class), []
    examples = select(every, split="calibration", languages=languages)
    refuse_missing_classes(examples, languages, "calibration")
    return spread(test, wanted.per_class), examples


def _languages_in(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    return tuple(sorted({p.language for p in prompts}, key=_order))


def _order(language: str) -> tuple[int, str]:
    return (ALL.index(language) if language in ALL else len(ALL), language)


def _notice(settings: Settings) -> str:
    """What the model is; an organism that was trained here says so too."""
    trained_here = (Path(settings.backbone.name_or_path) / _TRAINING_PLAN).is_file()
    return notice_of(settings) or (ORGANISM_NOTICE if trained_here else "")
