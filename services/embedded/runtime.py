"""Everything in one process, without Ray: the services of a mode behind one gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from services.audit.entry import Audit
from services.composition import (
    audit_of,
    load_fused,
    load_gate,
    load_generation,
    load_language_id,
    recal_face,
    request_limits,
)
from services.edge.main import signalled
from services.edge.server import EdgeServer
from services.language_id.identifier import LanguageIdService
from services.pipeline.admission import Admission
from services.pipeline.fused import Fused
from services.pipeline.sidecar import Sidecar
from services.pipeline.split import Split
from services.rpc.answerer import FaceAnswerer
from services.rpc.faces import Face, FusedFace, GateFace, GenerationFace, LanguageIdFace
from services.settings import Settings
from services.telemetry import Meter, PrometheusMeter


@dataclass(frozen=True)
class Line:
    """The services of one process: their faces, what runs beside them, and how they end."""

    faces: tuple[Face, ...]
    beside: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()
    """Coroutines that run as long as the process: the polls of the registry."""
    close: tuple[Callable[[], Awaitable[None]], ...] = ()


Load = Callable[[Settings, Meter], Awaitable[Line]]


async def load_line(settings: Settings, meter: Meter) -> Line:
    """Load the services of the mode that the settings name."""
    language_id = await asyncio.to_thread(load_language_id, settings)
    audit = audit_of(settings, meter)
    line = await _LOADS[settings.mode](settings, meter, language_id, audit)
    return replace(line, close=(*line.close, partial(asyncio.to_thread, audit.close)))


async def _split(
    settings: Settings, meter: Meter, language_id: LanguageIdService, audit: Audit
) -> Line:
    """Gate and generation each hold their own backbone.

    Hooks sit on the model, and one thread at a time may run it. The gate's ends at the last block
    that is read.
    """
    limits = request_limits(settings)
    gate = await load_gate(settings, meter)
    generation = await load_generation(settings, meter, store=gate.store)
    split = Split(generation.service, admission=Admission(in_process=True))
    faces = (
        LanguageIdFace(language_id, limits),
        GateFace(gate.service, limits),
        GenerationFace(generation.service, limits),
        recal_face(language_id, gate.service, split, settings, meter, audit=audit),
    )
    return Line(faces, (gate.store.poll,), (gate.service.close, generation.service.close))


async def _fused(
    settings: Settings, meter: Meter, language_id: LanguageIdService, audit: Audit
) -> Line:
    limits = request_limits(settings)
    loaded = await load_fused(settings, meter)
    faces = (
        LanguageIdFace(language_id, limits),
        GateFace(loaded.gate, limits),
        FusedFace(loaded.fused, limits),
        recal_face(language_id, loaded.gate, Fused(loaded.fused), settings, meter, audit=audit),
    )
    return Line(faces, (loaded.store.poll,), (loaded.close,))


async def _sidecar(
    settings: Settings, meter: Meter, language_id: LanguageIdService, audit: Audit
) -> Line:
    limits = request_limits(settings)
    gate = await load_gate(settings, meter)
    faces = (
        LanguageIdFace(language_id, limits),
        GateFace(gate.service, limits),
        recal_face(language_id, gate.service, Sidecar(), settings, meter, audit=audit),
    )
    return Line(faces, (gate.store.poll,), (gate.service.close,))


_LOADS = {"split": _split, "fused": _fused, "sidecar": _sidecar}


class EmbeddedRuntime:
    """Listens from `start` to `stop`; answers once everything is loaded."""

    def __init__(self, settings: Settings, *, load: Load = load_line) -> None:
        """Prepare; nothing is loaded or opened yet."""
        self._settings = settings
        self._load = load
        self._faces: dict[str, Face] = {}
        self._beside: list[asyncio.Task[None]] = []
        self._line: Line | None = None
        self.meter = PrometheusMeter()
        self.server = EdgeServer(
            FaceAnswerer(self._faces), settings.edge, self.meter, mode=settings.mode
        )

    @property
    def address(self) -> str:
        """`host:port`, once started."""
        return self.server.address

    async def start(self) -> None:
        """Listen, then load; until that is done callers get UNAVAILABLE and health says so.

        Raises:
            SettingsError: a port is taken.
            ArtefactRefused: the backbone cannot be loaded.
        """
        await self.server.start()
        try:
            self._line = await self._load(self._settings, self.meter)
        except BaseException:
            await self.stop()
            raise
        self._faces.update({face.service: face for face in self._line.faces})
        self._beside = [asyncio.create_task(run()) for run in self._line.beside]
        await self.server.readiness.look()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Let running calls end for `grace_s`, then end everything."""
        await self.server.stop(grace_s)
        for task in self._beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for close in self._line.close if self._line is not None else ():
            await close()

    async def serve_forever(self) -> None:
        """Run until the process is told to stop."""
        await self.start()
        try:
            await signalled()
        finally:
            await self.stop()


def run_embedded(settings: Settings) -> None:
    """Run everything in this process until it is told to stop."""
    asyncio.run(EmbeddedRuntime(settings).serve_forever())
