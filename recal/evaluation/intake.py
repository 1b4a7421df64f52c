"""From named files and languages to methods and prompts that may be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recal.collect import Activations, collect
from recal.evaluation.admission import (
    refuse_missing_classes,
    refuse_shared_sources,
    refuse_tuned_prompts,
    refuse_unknown_languages,
)
from recal.evaluation.catalogue import SAVED, Material, are_few_shot, methods_of
from recal.evaluation.held import rows_of
from recal.evaluation.method import Method
from recal.inputs import prompts_from, whole_backbone
from recal.languages import ALL
from recal.prompts import Prompt, Split, select, spread
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


class Intake(NamedTuple):
    """Everything that an evaluation runs on."""

    backbone: Backbone
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
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Intake:
    """Load, check and read.

    Raises:
        ArtefactRefused: the backbone, readout or a calibration cannot be used.
        ValueError: prompts, languages or methods that cannot be evaluated, or a calibration of
            another readout, in words.
    """
    chosen = choose(wanted)  # before a backbone of many gigabytes is loaded
    backbone = whole_backbone(settings.backbone, threads=settings.threads)
    readout = load_readout(wanted.readout, backbone=backbone.identity)
    for language, calibration in chosen.calibrations.items():
        refuse_other_backbone(
            calibration.backbone, backbone.identity, f"the saved calibration of `{language}`"
        )
    Bundle(readout, chosen.calibrations)  # refuses one that belongs to another readout
    test = chosen.test
    read = collect(
        backbone,
        [*test, *chosen.examples],
        layers=readout.layers,
        cache=settings.state_dir / "activations",
        report=report,
    )
    pool = rows_of(read, range(len(test), len(read.prompts)))
    return Intake(
        backbone=backbone,
        readout=readout,
        methods=methods_of(wanted.methods, Material(readout, pool, chosen.calibrations)),
        test=rows_of(read, range(len(test))),
        pool=pool,
        languages=chosen.languages,
        notice=_notice(settings),
    )


class Chosen(NamedTuple):
    """Prompts and calibrations that may be evaluated."""

    languages: tuple[str, ...]
    test: list[Prompt]
    examples: list[Prompt]
    """The calibration split; empty where no method draws from it."""
    calibrations: dict[str, Calibration]


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
    return Chosen(languages, test, examples, calibrations)


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
