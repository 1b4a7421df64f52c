"""The generation service: a prompt to streamed text under an intervention."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from services.backbone.load import Backbone
from services.domain import Action, Intervention, Sampling, TextChunk
from services.errors import InvalidRequest, ServiceError
from services.generation.engine import EngineLimits, Settled
from services.generation.intake import Treatments
from services.generation.monitor import MONITORED, Monitor, Monitors
from services.generation.treatment import UNTOUCHED, Treatment
from services.generation.writer import Writer
from services.readout.bundle import Bundle, Readout
from services.telemetry import Meter


class HeldReadouts(Protocol):
    """Where generation finds directions; `services.readout.store.BundleStore` is one."""

    @property
    def current(self) -> Bundle:
        """What serves now.

        Raises:
            NotReady: nothing does.
        """

    def readout(self, version: str) -> Readout:
        """The current or the previous readout.

        Raises:
            NotReady: none is loaded.
            VersionMismatch: this one is not.
        """


class GenerationService:
    """Knows neither Ray nor gRPC. Lives in one event loop; the model runs in its own thread."""

    def __init__(
        self,
        backbone: Backbone,
        readouts: HeldReadouts,
        meter: Meter,
        *,
        limits: EngineLimits | None = None,
        frame_s: float = 0.0,
        monitors: Monitors | None = None,
    ) -> None:
        """Generate with the given backbone; nothing else may run it meanwhile.

        Args:
            backbone: the whole model.
            readouts: holds the directions that verdicts name.
            meter: where the queue's depth and the time of each stage are written.
            limits: how much is generated at once.
            frame_s: seconds between two pieces of a text, its first and last left out; 0: each goes
                as it comes.
            monitors: what look at answers; None: nobody does.
        """
        self._monitors = monitors
        self._treatments = Treatments(backbone)
        self._readouts = readouts
        self._writer = Writer(backbone, meter, limits=limits, frame_s=frame_s)

    async def generate(
        self,
        prompt: str,
        intervention: Intervention,
        sampling: Sampling,
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[TextChunk, None]:
        """Generate text; the last chunk carries `finish`. Closing the stream frees its place.

        Args:
            prompt: the user's prompt, as plain text.
            intervention: what is done to the model, by which readout.
            sampling: how tokens are chosen.
            timeout_s: time that is left of the caller's deadline.

        Raises:
            InvalidRequest: the sampling makes no sense, or the intervention is a refusal.
            PromptTooLong: prompt and answer do not fit the context.
            VersionMismatch: the readout that the intervention names is not loaded.
            ArtefactRefused: answers are monitored, and no threshold is set for that readout.
            Overloaded: too many requests wait already.
            DeadlinePassed: time ran out, perhaps in the middle of the text.
            ServiceError: the model failed.
        """
        treatment, monitor = self._treatment(intervention), self._monitor(intervention)
        asked = await self._writer.take(prompt, sampling, timeout_s)
        async with aclosing(self._writer.write(asked, treatment, monitor)) as answers:
            async for answer in answers:
                if isinstance(answer, Settled):
                    raise ServiceError(
                        "a request that came with its verdict was decided again; nothing is sent"
                    )
                yield answer

    async def check_capacity(self, n_expected: int = 0) -> None:
        """Return where a call would be taken now.

        Args:
            n_expected: calls that are on their way here and count as taken.

        Raises:
            Overloaded: too many wait already.
            ServiceUnavailable: the service is shutting down.
        """
        self._writer.check_capacity(n_expected)

    async def warm_up(self) -> None:
        """Let the model run once, before somebody waits for it.

        Raises:
            ServiceError: the model cannot run.
        """
        await self._writer.warm_up()

    async def close(self) -> None:
        """End the step that runs; every request that has not ended fails."""
        await self._writer.close()

    def _treatment(self, intervention: Intervention) -> Treatment:
        action = intervention.action
        if action is Action.NONE:
            return UNTOUCHED
        if action is Action.REFUSE:
            raise InvalidRequest(
                "`refuse` is no intervention; answer it with the fixed refusal instead"
            )
        if not intervention.readout_version:
            raise InvalidRequest(f"`{action.value}` must name a readout version")
        readout = self._readouts.readout(intervention.readout_version)
        return self._treatments.under(readout, action)

    def _monitor(self, intervention: Intervention) -> Monitor | None:
        if self._monitors is None or intervention.action not in MONITORED:
            return None
        version = intervention.readout_version
        # what a policy lets through without a verdict is looked at all the same
        readout = self._readouts.readout(version) if version else self._readouts.current.readout
        return self._monitors.of(readout)
