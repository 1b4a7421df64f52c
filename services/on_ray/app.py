"""Serve applications, one for each service, by import path: for `serve deploy`, KubeRay and `run`.

Which there are, the settings' `mode` says: `split` has four; `fused` has no `generation`, because
its `gate` answers, too; `sidecar` has none either. They are applications of their own and not one
for all, because Serve routes an RPC by its bare method name to the application's ingress, and
`Check` and `Generate` exist in two services each. A client picks one with the `application`
metadata; each is deployed, scaled and replaced by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ray.serve import Application

from services.composition import (
    audit_of,
    front_door_language_id,
    load_fused,
    load_gate,
    load_generation,
    load_language_id,
    recal_face,
    request_limits,
)
from services.on_ray.application import application
from services.on_ray.catching_up import CatchingUp
from services.on_ray.clients import (
    FusedHandle,
    GateHandle,
    GenerationHandle,
    LanguageIdHandle,
    handle_of,
)
from services.on_ray.deployments import (
    FusedDeployment,
    GateDeployment,
    GenerationDeployment,
    LanguageIdDeployment,
    Loaded,
    LoadedFused,
    RecalDeployment,
)
from services.pipeline.ask import Mode
from services.pipeline.clients import GenerationClient, LanguageIdClient
from services.pipeline.fused import Fused
from services.pipeline.sidecar import Sidecar
from services.pipeline.split import Split
from services.rpc.faces import BatchGate, RecalFace
from services.settings import Settings, SettingsError, load_settings
from services.telemetry import Meter
from services.threads import use_threads
from services.wire.methods import FUSED, GATE, GENERATION, LANGUAGE_ID, RECAL

Args = Mapping[str, str]
"""`config`: path of the settings file; without it RECAL_CONFIG or defaults, as everywhere."""


def language_id(args: Args) -> Application:
    """The application `language-id`, for a config file's `import_path`."""
    return language_id_application(load_settings(args.get("config")))


def gate(args: Args) -> Application:
    """The application `gate`, for a config file's `import_path`."""
    return gate_application(load_settings(args.get("config")))


def generation(args: Args) -> Application:
    """The application `generation`, for a config file's `import_path`."""
    return generation_application(load_settings(args.get("config")))


def recal(args: Args) -> Application:
    """The application `recal`, for a config file's `import_path`."""
    return recal_application(load_settings(args.get("config")))


def language_id_application(settings: Settings) -> Application:
    """Language identification."""
    replicas = settings.serve.language_id_replicas
    load = partial(load_language_id_here, settings)
    return application(LANGUAGE_ID, LanguageIdDeployment, load, settings, replicas=replicas)


def gate_application(settings: Settings) -> Application:
    """The gate; in mode `fused` the service that is gate and generation in one."""
    section = settings.serve
    replicas, gpus = section.gate_replicas, section.gpus_per_model_replica
    if settings.mode == "fused":
        load_both = partial(load_fused_here, settings)
        return application(GATE, FusedDeployment, load_both, settings, replicas=replicas, gpus=gpus)
    load = partial(load_gate_here, settings)
    return application(GATE, GateDeployment, load, settings, replicas=replicas, gpus=gpus)


def generation_application(settings: Settings) -> Application:
    """Generation.

    Raises:
        SettingsError: the mode has none.
    """
    if settings.mode != "split":
        raise SettingsError(
            f"mode `{settings.mode}` has no application `generation`; leave it out, or set `mode` "
            "to `split`"
        )
    section = settings.serve
    load = partial(load_generation_here, settings)
    replicas, gpus = section.generation_replicas, section.gpus_per_model_replica
    return application(
        GENERATION, GenerationDeployment, load, settings, replicas=replicas, gpus=gpus
    )


def recal_application(settings: Settings) -> Application:
    """The front door; it finds the others by name."""
    replicas = settings.serve.recal_replicas
    load = partial(load_recal_here, settings)
    return application(RECAL, RecalDeployment, load, settings, replicas=replicas)


async def load_language_id_here(settings: Settings, meter: Meter) -> Loaded[LanguageIdClient]:
    """Load language identification in this replica."""
    use_threads(settings.threads, meter)
    return Loaded(load_language_id(settings), request_limits(settings))


async def load_gate_here(settings: Settings, meter: Meter) -> Loaded[BatchGate]:
    """Load the gate in this replica."""
    loaded = await load_gate(settings, meter)
    return Loaded(loaded.service, request_limits(settings), loaded.store.poll)


async def load_fused_here(settings: Settings, meter: Meter) -> LoadedFused:
    """Load gate and generation over one model in this replica."""
    loaded = await load_fused(settings, meter)
    return LoadedFused(loaded.gate, request_limits(settings), loaded.store.poll, fused=loaded.fused)


async def load_generation_here(settings: Settings, meter: Meter) -> Loaded[GenerationClient]:
    """Load generation in this replica."""
    service, store = await load_generation(settings, meter)
    return Loaded(CatchingUp(service, store.refresh), request_limits(settings), store.poll)


async def load_recal_here(settings: Settings, meter: Meter) -> RecalFace:
    """The front door over the handles of the others."""
    use_threads(settings.threads, meter)
    return recal_face(
        front_door_language_id(settings, lambda: LanguageIdHandle(handle_of(LANGUAGE_ID))),
        GateHandle(handle_of(GATE)),
        _mode(settings),
        settings,
        meter,
        audit=audit_of(settings, meter),
    )


def _mode(settings: Settings) -> Mode:
    if settings.mode == "split":
        return Split(GenerationHandle(handle_of(GENERATION)))
    return Fused(FusedHandle(handle_of(FUSED))) if settings.mode == "fused" else Sidecar()
