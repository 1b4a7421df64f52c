"""The current bundle: fetched, verified, swapped whole; the last good one outlives any trouble."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from services.errors import (
    ArtefactRefused,
    NotReady,
    RegistryUnreachable,
    ServiceError,
    VersionMismatch,
)
from services.readout.assembly import not_themselves
from services.readout.bundle import Bundle, Readout
from services.readout.reported import contents, report
from services.readout.revocation import KnowsRevoked, spared
from services.telemetry import REGISTRY_AGE_SECONDS, RELOADS, Meter

logger = logging.getLogger(__name__)

_JITTER = 0.2
_EAGER_S = 1.0


class BundleSource(Protocol):
    """Where promoted bundles come from: the aliases of a registry, or a directory."""

    def fingerprint(self) -> str:
        """What changes whenever another version is promoted; cheap.

        Raises:
            RegistryUnreachable: there is no answer.
        """

    def fetch(self) -> Bundle:
        """The promoted bundle, verified; what was refused is named in it.

        Raises:
            ArtefactRefused: there is no readout, or it was refused.
            RegistryUnreachable: there is no answer.
        """


@runtime_checkable
class RemembersLastGood(Protocol):
    """A source that gives the last good bundle without its registry, also after a restart."""

    def remember(self, bundle: Bundle) -> None:
        """Take `bundle` for the last good one."""

    def last_good(self) -> Bundle:
        """The bundle that was remembered last.

        Raises:
            RegistryUnreachable: none is remembered.
            ArtefactRefused: it does not load any more.
        """


@dataclass(frozen=True, eq=False)
class _Held:
    """What the store holds, replaced in one assignment."""

    bundle: Bundle
    previous: Bundle | None
    """The last bundle with another readout."""


class BundleStore:
    """Holds the current bundle and keeps it up to date."""

    def __init__(
        self,
        source: BundleSource,
        meter: Meter,
        *,
        verify: Callable[[Bundle], None] = lambda bundle: None,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing until the first `refresh`.

        Args:
            source: where promoted bundles come from.
            meter: where outcomes and thresholds are written.
            verify: a last look at a bundle, e.g. a self-test; raises ArtefactRefused to refuse it.
            interval_s: mean time between two looks of `poll`.
            clock: seconds, rising.
        """
        self._source = source
        self._meter = meter
        self._verify = verify
        self._interval_s = interval_s
        self._clock = clock
        self._held: _Held | None = None
        self._fingerprint: str | None = None
        self._answered = clock()
        self._trouble = ""
        self._one_look_at_a_time = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        """True when a bundle is held."""
        return self._held is not None

    @property
    def current(self) -> Bundle:
        """The bundle that serves now; a request takes it once and keeps it.

        Raises:
            NotReady: none was loaded yet.
        """
        if self._held is None:
            why = f": {self._trouble}" if self._trouble else ""
            raise NotReady(f"no readout is loaded yet{why}; retry, or see `recal doctor`")
        return self._held.bundle

    def readout(self, version: str) -> Readout:
        """The current or the previous readout, by the version that a verdict names.

        Raises:
            NotReady: none was loaded yet.
            VersionMismatch: it is neither of the two.
        """
        current = self.current
        previous = self._held.previous if self._held else None
        for bundle in (current, previous):
            if bundle is not None and bundle.readout.version == version:
                return bundle.readout
        raise VersionMismatch(
            f"readout `{version}` is not loaded, only `{current.readout.version}`"
            + (f" and `{previous.readout.version}`" if previous else "")
            + "; check the request again"
        )

    async def refresh(self) -> str:
        """Look at the source once, and swap when another bundle is promoted.

        Returns:
            `unchanged`, `swapped`, `refused` (something was; what is good of the rest serves) or
            `unreachable`. The last good bundle serves in every case.
        """
        async with self._one_look_at_a_time:
            outcome = await self._look()
        self._meter.count(RELOADS, outcome=outcome)
        self._meter.gauge(REGISTRY_AGE_SECONDS, self._clock() - self._answered)
        return outcome

    async def poll(self) -> None:
        """Refresh for ever, at intervals with jitter, until cancelled."""
        while True:
            interval_s = self._interval_s if self.is_ready else min(self._interval_s, _EAGER_S)
            await asyncio.sleep(interval_s * random.uniform(1 - _JITTER, 1 + _JITTER))
            await self.refresh()

    async def _look(self) -> str:
        try:
            outcome = await self._look_at_source()
        except RegistryUnreachable as error:
            outcome = "unreachable"
            self._note(str(error))
        except Exception as error:
            # Whatever a source does wrong must end neither the polling nor what serves.
            outcome = "refused"
            self._note(_said(error))
        if self._held is None:
            await self._restore()
        return outcome

    async def _look_at_source(self) -> str:
        fingerprint = await asyncio.to_thread(self._source.fingerprint)
        self._answered = self._clock()
        await self._drop_revoked()
        if fingerprint == self._fingerprint:
            self._note("")
            return "unchanged"
        fetched = await asyncio.to_thread(self._source.fetch)
        await asyncio.to_thread(self._verify, fetched)
        bundle = await self._with_last_good(fetched)
        changed = self._held is None or contents(bundle) != contents(self._held.bundle)
        self._swap(bundle)
        if changed:
            await self._remember(bundle)
        if bundle.refused or bundle.refused_beside:
            # The fingerprint is not kept: what was refused is looked at again.
            self._fingerprint = None
            self._note("; ".join([*bundle.refused.values(), *bundle.refused_beside.values()]))
            return "refused"
        self._fingerprint = fingerprint
        self._note("")
        return "swapped" if changed else "unchanged"

    async def _with_last_good(self, fetched: Bundle) -> Bundle:
        """Put the last good calibration of the same readout where the newest was refused."""
        if not fetched.refused:
            return fetched
        calibrations = dict(fetched.calibrations)
        for donor in await self._donors():
            if donor.readout.digest != fetched.readout.digest:
                continue
            for language in fetched.refused.keys() & donor.calibrations.keys():
                calibrations.setdefault(language, donor.calibrations[language])
        beside = not_themselves(calibrations, fetched.challengers, fetched.shadows)
        return replace(fetched, calibrations=calibrations, **beside)

    async def _drop_revoked(self) -> None:
        """Let go of what is revoked at once, whatever else the registry says.

        A language without its champion is one without a calibration; without a readout nothing is
        served. Requests that have begun keep what they took.
        """
        if self._held is None or not isinstance(self._source, KnowsRevoked):
            return
        revoked = await asyncio.to_thread(self._source.revoked)
        held, previous = self._held.bundle, self._held.previous
        bundle = spared(held, revoked)
        self._held = (
            None
            if bundle is None
            else _Held(bundle, None if previous is None else spared(previous, revoked))
        )
        if bundle is not held:
            self._fingerprint = None
            logger.warning("artefacts: what served of `%s` is revoked", held.readout.version)
            report(self._meter, held, bundle)

    async def _donors(self) -> list[Bundle]:
        if self._held is not None:
            held = (self._held.bundle, self._held.previous)
            return [bundle for bundle in held if bundle is not None]
        if isinstance(self._source, RemembersLastGood):
            try:
                return [await asyncio.to_thread(self._source.last_good)]
            except (RegistryUnreachable, ArtefactRefused):
                return []
        return []

    async def _restore(self) -> None:
        """Start from the last good bundle that the source remembers."""
        if not isinstance(self._source, RemembersLastGood):
            return
        try:
            bundle = await asyncio.to_thread(self._source.last_good)
            await asyncio.to_thread(self._verify, bundle)
        except Exception as error:
            self._note(f"{self._trouble}; {_said(error)}")
            return
        self._swap(bundle)
        logger.warning("serving the last good set, `%s`", bundle.readout.version)

    async def _remember(self, bundle: Bundle) -> None:
        if not isinstance(self._source, RemembersLastGood):
            return
        try:
            await asyncio.to_thread(self._source.remember, bundle)
        except OSError as error:
            logger.warning("the last good set was not written down: %s", type(error).__name__)

    def _swap(self, bundle: Bundle) -> None:
        old = self._held
        if old is None:
            self._held = _Held(bundle, previous=None)
        elif old.bundle.readout.version == bundle.readout.version:
            self._held = _Held(bundle, old.previous)
        else:
            self._held = _Held(bundle, previous=old.bundle)
        report(self._meter, old.bundle if old else None, bundle)

    def _note(self, trouble: str) -> None:
        """Keep what is wrong for `current`, and log it when it is new."""
        if trouble and trouble != self._trouble:
            logger.warning("artefacts: %s", trouble)
        self._trouble = trouble


def _said(error: Exception) -> str:
    """What an error says, if it is one of ours; others may quote anything, so only their type."""
    if isinstance(error, ServiceError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    name = f"{Path(where.filename).name}:{where.lineno}"
    return f"unexpected {type(error).__name__} at {name} while loading artefacts"
