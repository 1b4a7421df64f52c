"""Settings to plain services: what both ways of deploying have in common."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from services.audit.entry import Audit, NoAudit
from services.audit.log import AuditLog
from services.backbone.load import Backbone, load_backbone
from services.domain import Reason
from services.errors import ArtefactRefused, ServiceError
from services.fused.service import FusedService
from services.gate.batcher import BatchLimits
from services.gate.policy import Outcome, Override, Policy
from services.gate.service import GateService
from services.generation.engine import engine_limits
from services.generation.monitor import Monitors, monitors_of
from services.generation.service import GenerationService
from services.language_id.identifier import LanguageIdService
from services.pipeline.ask import Behind, Mode
from services.pipeline.clients import GateClient, LanguageIdClient
from services.pipeline.service import PipelineService
from services.readout.bundle import BackboneIdentity, Bundle
from services.readout.directory_source import DirectorySource
from services.readout.mlflow_environment import quieten_mlflow
from services.readout.self_test import refuse_other_scores
from services.readout.signature import Trust, trust_of
from services.readout.store import BundleSource, BundleStore
from services.refusals.phrases import RefusalPhrases
from services.rpc.faces import RecalFace
from services.settings import ORGANISM, OverrideSettings, Settings, SettingsError
from services.telemetry import Meter
from services.threads import report_threads, set_threads
from services.wire.prompts import RequestLimits

_SECONDS_A_DAY = 86_400.0
ORGANISM_NOTICE = (
    "a model organism: a few million parameters trained to show the effect, not a production model"
)


class LoadedGate(NamedTuple):
    """A gate and the store that it reads from, which somebody must poll."""

    service: GateService
    store: BundleStore


class LoadedFused(NamedTuple):
    """Gate and generation in one, and the store that both read from, which somebody must poll."""

    fused: FusedService
    gate: GateService
    store: BundleStore
    close: Callable[[], Awaitable[None]]
    """Of both, and of the thread that they share."""


class LoadedGeneration(NamedTuple):
    """A generation service and the store that it reads from, which somebody must poll."""

    service: GenerationService
    store: BundleStore


def request_limits(settings: Settings) -> RequestLimits:
    """What a request may ask for."""
    return RequestLimits(
        max_prompt_bytes=settings.edge.max_request_bytes,
        default_max_tokens=settings.generation.default_max_tokens,
        max_tokens=settings.generation.max_tokens,
    )


def policy_of(settings: Settings) -> Policy:
    """The policy table with the operator's rows.

    Raises:
        SettingsError: a row names no case or outcome, or one that does not fit the other.
    """
    days = settings.policy.max_calibration_age_days
    return Policy(
        overrides=tuple(
            _override(index, row) for index, row in enumerate(settings.policy.overrides)
        ),
        max_calibration_age_s=None if days is None else days * _SECONDS_A_DAY,
        min_time_left_s=settings.policy.min_time_left_ms / 1000,
    )


def _override(index: int, row: OverrideSettings) -> Override:
    try:
        return Override(Reason(row.reason), Outcome(row.outcome), row.language, row.tenant)
    except ValueError as error:
        raise SettingsError(f"`policy.overrides[{index}]`: {error}") from None


def load_language_id(settings: Settings) -> LanguageIdService:
    """Language identification with its model."""
    section = settings.language_id
    return LanguageIdService(
        section.model_path,
        min_confidence=section.min_confidence,
        min_letters=section.min_letters,
    )


def front_door_language_id(
    settings: Settings, elsewhere: Callable[[], LanguageIdClient]
) -> LanguageIdClient:
    """What names languages for a front door on Serve: a model of its own, or whoever is asked."""
    return load_language_id(settings) if settings.serve.language_id_inside else elsewhere()


async def load_gate(settings: Settings, meter: Meter) -> LoadedGate:
    """The gate with its truncated backbone, after a first look at the registry and a first pass.

    Raises:
        ServiceError: the model cannot run.
    """
    policy = policy_of(settings)
    set_threads(settings.threads)
    backbone = await asyncio.to_thread(_load_read_part, settings)
    store = await _filled_store(settings, backbone, meter)
    service = GateService(
        backbone, store, policy, meter, limits=_batch_limits(settings), notice=notice_of(settings)
    )
    await service.warm_up()
    report_threads(meter)
    return LoadedGate(service, store)


async def load_generation(
    settings: Settings, meter: Meter, *, store: BundleStore | None = None
) -> LoadedGeneration:
    """Generation with the whole backbone.

    Args:
        settings: how it runs.
        meter: where it counts.
        store: what the gate of the same process reads from; None: one of its own, after a first
            look at the registry.

    Raises:
        ServiceError: the model cannot run.
    """
    set_threads(settings.threads)
    backbone = await asyncio.to_thread(_load_whole, settings)
    if store is None:
        store = await _filled_store(settings, backbone, meter)
    section, limits = settings.generation, engine_limits(settings)
    service = GenerationService(
        backbone,
        store,
        meter,
        limits=limits,
        frame_s=section.frame_ms / 1000,
        monitors=monitors_of(settings),
    )
    await service.warm_up()
    report_threads(meter)
    return LoadedGeneration(service, store)


async def load_fused(settings: Settings, meter: Meter) -> LoadedFused:
    """Gate and generation over one whole backbone, whose passes take turns in one thread.

    Raises:
        ServiceError: the model cannot run.
    """
    policy = policy_of(settings)
    set_threads(settings.threads)
    backbone = await asyncio.to_thread(_load_whole, settings)
    store = await _filled_store(settings, backbone, meter)
    thread = ThreadPoolExecutor(1, thread_name_prefix="fused-model")
    fused = FusedService(
        backbone,
        store,
        policy,
        meter,
        limits=engine_limits(settings),
        frame_s=settings.generation.frame_ms / 1000,
        thread=thread,
        monitors=monitors_of(settings),
    )
    gate = GateService(
        # each encodes in a thread of its own, and a fast tokenizer is not shared by two
        replace(backbone, tokenizer=copy.deepcopy(backbone.tokenizer)),
        store,
        policy,
        meter,
        limits=_batch_limits(settings),
        notice=notice_of(settings),
        thread=thread,
    )

    await gate.warm_up()
    await fused.warm_up()
    report_threads(meter)

    async def close() -> None:
        await gate.close()
        await fused.close()
        thread.shutdown(wait=False)

    return LoadedFused(fused, gate, store, close)


def recal_face(
    language_id: LanguageIdClient,
    gate: GateClient,
    mode: Mode,
    settings: Settings,
    meter: Meter,
    *,
    audit: Audit | None = None,
) -> RecalFace:
    """The front door over the services, wherever they are.

    Args:
        language_id: names languages.
        gate: decides.
        mode: how answers come about.
        settings: how it runs.
        meter: where it counts.
        audit: where each verdict is kept; None: nowhere.
    """
    behind = Behind(
        language_id,
        gate,
        mode,
        RefusalPhrases(),
        policy_of(settings),
        meter,
        language_id_timeout_s=settings.language_id.timeout_s,
        audit=audit or NoAudit(),
    )
    return RecalFace(
        PipelineService(behind),
        request_limits(settings),
        software_version=version("recal-gate"),
        debug_scores=settings.debug_scores,
    )


def audit_of(settings: Settings, meter: Meter) -> AuditLog | NoAudit:
    """Where this process keeps its verdicts; whoever is done with it closes it."""
    section = settings.audit
    if not section.enabled:
        return NoAudit()
    return AuditLog(
        settings.audit_dir,
        meter,
        max_bytes=section.max_file_bytes,
        n_files=section.max_files,
        keep_days=section.keep_days,
    )


def bundle_source(settings: Settings, backbone: BackboneIdentity | None) -> BundleSource:
    """Where promoted bundles come from; with an identity, those of other backbones are refused.

    Raises:
        SettingsError: the trusted keys cannot be used.
    """
    registry, trust = settings.registry, trust_in(settings)
    if registry.source == "directory" and registry.directory is not None:
        return DirectorySource(registry.directory, backbone=backbone, trust=trust)
    quieten_mlflow()
    # MLflow takes a second and 160 MB, and a directory of artefacts does without it.
    from services.readout.mlflow_source import MlflowSource

    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return MlflowSource(
        settings.tracking_uri,
        backbone.name if backbone is not None else backbone_name(settings),
        settings.cache_dir,
        backbone=backbone,
        trust=trust,
    )


def trust_in(settings: Settings) -> Trust:
    """Whose artefacts are taken.

    Raises:
        SettingsError: a key cannot be read, or signatures are required of nobody.
    """
    registry = settings.registry
    try:
        return trust_of(registry.trusted_keys, required=registry.require_signature)
    except ValueError as error:
        raise SettingsError(f"`registry.trusted_keys`: {error}") from None


def backbone_name(settings: Settings) -> str:
    """The backbone's name as artefacts carry it, before it is loaded."""
    path = Path(settings.backbone.name_or_path).expanduser()
    return path.resolve().name if path.is_dir() else settings.backbone.name_or_path


def notice_of(settings: Settings) -> str:
    """What GetInfo says of the backbone; the organism never goes without."""
    section = settings.backbone
    is_organism = Path(section.name_or_path) == ORGANISM
    return section.notice or (ORGANISM_NOTICE if is_organism else "")


def _load_read_part(settings: Settings) -> Backbone:
    """The blocks up to the last that the promoted readout reads; all when that is unknown."""
    try:
        readout = bundle_source(settings, None).fetch().readout
    except ServiceError:
        return _load_backbone(settings, n_blocks=None)
    return _load_backbone(settings, n_blocks=readout.deepest_layer + 1)


def _load_whole(settings: Settings) -> Backbone:
    return _load_backbone(settings, n_blocks=None)


def _load_backbone(settings: Settings, *, n_blocks: int | None) -> Backbone:
    section = settings.backbone
    return load_backbone(
        section.name_or_path,
        n_blocks=n_blocks,
        dtype=None if section.dtype == "auto" else getattr(torch, section.dtype),
        device=section.device,
        revision=section.revision,
    )


async def _filled_store(settings: Settings, backbone: Backbone, meter: Meter) -> BundleStore:
    source = await asyncio.to_thread(bundle_source, settings, backbone.identity)
    store = BundleStore(
        source,
        meter,
        verify=partial(verify, backbone=backbone, monitors=monitors_of(settings)),
        interval_s=settings.registry.poll_interval_s,
    )
    await store.refresh()
    return store


def verify(bundle: Bundle, *, backbone: Backbone, monitors: Monitors | None = None) -> None:
    """The last look at a bundle before it serves here.

    Raises:
        ArtefactRefused: it reads what is not loaded, or its scores are not what its fit found, on
            the processor, where the gate scores, or on the model's device, where prefills decide;
            or the answers under it could not be monitored.
    """
    refuse_unread_block(bundle, n_blocks=len(backbone.blocks))
    devices = dict.fromkeys([torch.device("cpu"), backbone.device])
    refuse_other_scores(bundle, devices=tuple(devices))
    if monitors is not None:
        monitors.threshold(bundle.readout)


def refuse_unread_block(bundle: Bundle, *, n_blocks: int) -> None:
    """Refuse a readout of a block that this process has not loaded.

    Raises:
        ArtefactRefused: it reads deeper than the loaded part of the backbone.
    """
    layer = bundle.readout.deepest_layer
    if layer >= n_blocks:
        raise ArtefactRefused(
            f"`{bundle.readout.version}` reads block {layer}, and only blocks 0..{n_blocks - 1} "
            "are loaded here; restart this service, which then loads as many as it needs"
        )


def _batch_limits(settings: Settings) -> BatchLimits:
    section = settings.gate
    return BatchLimits(
        max_batch=section.max_batch,
        max_wait_s=section.max_wait_ms / 1000,
        max_tokens=section.token_budget,
        max_waiting=section.max_queue,
    )
