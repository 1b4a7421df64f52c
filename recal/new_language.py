"""A language's whole way up to a shadow: examples, thresholds, evaluation, registration, alias."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from recal.collect import Activations, collect
from recal.errors import UnknownVersion
from recal.evaluation.answers import Watch
from recal.evaluation.behaviour import LanguageResult
from recal.evaluation.catalogue import SAVED, UNTOUCHED, Material, methods_of
from recal.evaluation.judging import Judging
from recal.evaluation.plan import EvaluationPlan
from recal.evaluation.report_json import write_json
from recal.evaluation.report_markdown import write_markdown
from recal.evaluation.run import evaluate
from recal.evaluation.tally import Context
from recal.evidence_files import Collected, EvidenceFiles, collect_evidence
from recal.foreign import foreign_warnings
from recal.generate import Generator
from recal.inputs import whole_backbone
from recal.languages import refuse_unknown_tag
from recal.prior import own_thresholds, prior_for, rho_for
from recal.promotion import Objection, PromotionRules
from recal.prompts import Prompt
from recal.recalibrate import Recalibrated, recalibrate
from recal.registry import AliasMove, RegisteredVersion, Registry
from recal.registry.admission import refuse_revoked
from recal.registry.draft import draft_calibration
from services.backbone.load import Backbone
from services.composition import load_language_id, notice_of
from services.errors import ArtefactRefused
from services.readout.artefact import refuse_other_backbone, save_calibration
from services.readout.bundle import Calibration, Readout
from services.readout.naming import CHAMPION, calibration_model, readout_model
from services.readout.signature import read_private_key, sign
from services.settings import Settings

Told = Callable[[str, int, int], None]
"""Called with a step's name, how many of it are done and how many there are."""


@dataclass(frozen=True)
class Wanted:
    """Which language, from what, and where its files go."""

    language: str
    examples: Path
    held_out: Path | None
    """None: nothing is measured."""
    directory: Path
    """The calibration is saved in `calibration`, the report beside it."""
    judging: Judging
    key: Path | None = None
    """The private key that signs the calibration; None: it is not signed."""


class Arrived(NamedTuple):
    """How far a language came."""

    readout: str
    """The version that serves, which it was calibrated with, e.g. `readout@3`."""
    made: Recalibrated
    warnings: tuple[str, ...]
    """What an operator should know of the examples."""
    evaluation: LanguageResult | None
    objections: tuple[Objection, ...]
    """What promotion would say."""
    version: RegisteredVersion | None
    """None in a dry run."""
    shadow: AliasMove | None


def bring(
    wanted: Wanted,
    settings: Settings,
    registry: Registry,
    *,
    backbone_name: str,
    rules: PromotionRules,
    told: Told = lambda step, done, total: None,
    dry_run: bool = False,
) -> Arrived:
    """Bring a language as far as a shadow of the backbone that serves.

    Args:
        wanted: the language and its files.
        settings: name the backbone.
        registry: holds the readout that serves; written to.
        backbone_name: as the readout was registered.
        rules: what promotion would ask for.
        told: called as prompts are read and texts written.
        dry_run: do all of it but register and move the alias.

    Raises:
        ArtefactRefused: the readout that serves is not of this backbone.
        RegistryError: no readout is promoted.
        RegistryUnreachable: the registry does not answer.
        SettingsError: the key cannot be used.
        ValueError: a file is not of its form, lacks the language or a class, or the same prompt
            is example and held out.
    """
    refuse_unknown_tag(wanted.language)
    key = read_private_key(wanted.key) if wanted.key is not None else None
    readout = _serving(registry, backbone_name)
    reading = _Reading(settings, readout, told)
    files = EvidenceFiles(examples=wanted.examples, held_out=wanted.held_out)
    found = collect_evidence(files, wanted.language, reading.read)
    made = _recalibrated(wanted.language, readout, found, _others(registry, backbone_name, readout))
    folder = wanted.directory / "calibration"
    saved = save_calibration(made.calibration, folder)
    if key is not None:
        sign(folder, saved.digest, key)
    evaluation, reports = None, []
    if found.held_out is not None:
        evaluation = _evaluated(wanted, reading, found, saved)
        reports = [wanted.directory / "report.json", wanted.directory / "report.md"]
    draft = draft_calibration(folder, evaluation, reports)
    model = calibration_model(backbone_name, wanted.language)
    objections = rules.objections(draft.tags, _champion_tags(registry, model))
    version, shadow = None, None
    if not dry_run:
        version = registry.register(draft)
        shadow = registry.shadow(model, version.version, reason="recal new-language")
    return Arrived(
        readout=readout.version,
        made=made._replace(calibration=saved),
        warnings=(*made.warnings, *_foreign(found.examples, settings)),
        evaluation=evaluation,
        objections=objections,
        version=version,
        shadow=shadow,
    )


class _Reading:
    """Reads prompts with the backbone, which is loaded when the first is read.

    A fault in a file costs no time that way.
    """

    def __init__(self, settings: Settings, readout: Readout, told: Told) -> None:
        self.settings = settings
        self.readout = readout
        self.told = told

    @cached_property
    def backbone(self) -> Backbone:
        """The whole model, which the readout was made for."""
        loaded = whole_backbone(self.settings.backbone, threads=self.settings.threads)
        what = f"`{self.readout.version}`, which serves,"
        refuse_other_backbone(self.readout.backbone, loaded.identity, what)
        return loaded

    def read(self, name: str, prompts: Sequence[Prompt]) -> Activations:
        """Activations of prompts, at the layers that the readout reads."""
        report = partial(self.told, f"{name} read")
        return collect(self.backbone, prompts, layers=self.readout.layers, report=report)


def _serving(registry: Registry, backbone_name: str) -> Readout:
    """The readout that serves; calibrated with another one, a language would never be loaded."""
    model = readout_model(backbone_name)
    try:
        champion = registry.standing(model).champion
    except UnknownVersion:
        champion = None
    if champion is None:
        raise UnknownVersion(
            f"no readout of `{backbone_name}` is promoted at {registry.shown_uri}; `recal fit`, "
            "`recal register var/readout` and `recal promote readout` come first"
        )
    version = registry.version(model, champion)
    refuse_revoked(version)
    found = registry.artefact(version)
    if not isinstance(found, Readout):
        raise ArtefactRefused(f"`{version.label}` is no readout; register one and promote it")
    return found


def _others(registry: Registry, backbone_name: str, readout: Readout) -> list[Calibration]:
    """Other languages' calibrations that serve with this readout: what a prior is made of."""
    found = []
    for version in registry.champions(backbone_name):
        if version.model == readout_model(backbone_name):
            continue
        try:
            held = registry.artefact(version)
        except ArtefactRefused:
            continue  # servers refuse it too; a prior does without
        if isinstance(held, Calibration) and held.readout_digest == readout.digest:
            found.append(held)
    return found


def _recalibrated(
    language: str, readout: Readout, found: Collected, others: Sequence[Calibration]
) -> Recalibrated:
    prior = prior_for(language, own_thresholds(others, readout))
    beside = replace(found.beside, prior=prior, rho=rho_for(language, others, readout))
    return recalibrate(readout, found.examples, language, beside=beside, held_out=found.held_out)


def _evaluated(
    wanted: Wanted, reading: _Reading, found: Collected, saved: Calibration
) -> LanguageResult:
    """The saved calibration beside the untouched model, on the held-out prompts."""
    if found.held_out is None or found.examples is None:
        raise ValueError("an evaluation needs held-out prompts and examples; give both")
    material = Material(reading.readout, found.examples, {wanted.language: saved})
    evaluated = evaluate(
        methods_of((UNTOUCHED, SAVED), material),
        found.held_out,
        found.examples,
        languages=(wanted.language,),
        plan=EvaluationPlan(draws=1, gate_draws=1),  # nothing is drawn: the examples are given
        writer=Generator(reading.backbone),
        judging=wanted.judging,
        context=Context(
            backbone=reading.backbone.identity.name,
            readout=reading.readout,
            split="test",
            notice=notice_of(reading.settings),
        ),
        watch=Watch(written=partial(reading.told, "texts written and judged")),
    )
    write_json(evaluated.report, wanted.directory / "report.json")
    write_markdown(evaluated.report, wanted.directory / "report.md")
    (result,) = evaluated.report.results
    return result


def _champion_tags(registry: Registry, model: str) -> dict[str, str] | None:
    try:
        champion = registry.standing(model).aliases.get(CHAMPION)
    except UnknownVersion:
        return None  # the first of its language
    return dict(registry.version(model, champion).tags) if champion is not None else None


def _foreign(examples: Activations | None, settings: Settings) -> tuple[str, ...]:
    """Examples that language identification takes for another language."""
    if examples is None:
        return ()
    identify = load_language_id(settings).identify
    return tuple(asyncio.run(foreign_warnings(examples.prompts, identify)))
