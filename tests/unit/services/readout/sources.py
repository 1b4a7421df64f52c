"""Sources of bundles whose answers a test sets."""

from __future__ import annotations

import time

from services.errors import ArtefactRefused, RegistryUnreachable
from services.readout.bundle import Bundle
from services.readout.revocation import spared


class ChangingSource:
    """A source whose answers a test sets; an exception set as bundle is raised."""

    def __init__(self, bundle: Bundle | Exception) -> None:
        self.promotions = 0
        self.bundle = bundle
        self.is_away = False
        self.looks = 0
        self.fetches = 0

    @property
    def bundle(self) -> Bundle | Exception:
        return self._bundle

    @bundle.setter
    def bundle(self, bundle: Bundle | Exception) -> None:
        self._bundle = bundle
        self.promotions += 1

    def heal(self, bundle: Bundle) -> None:
        """The same promotions, now readable."""
        self._bundle = bundle

    def fingerprint(self) -> str:
        self.looks += 1
        if self.is_away:
            raise RegistryUnreachable("the registry is away; start it")
        return str(self.promotions)

    def fetch(self) -> Bundle:
        self.fetches += 1
        if isinstance(self.bundle, Exception):
            raise self.bundle
        return self.bundle


class RememberingSource(ChangingSource):
    """The same with a disk, which a test may fill."""

    def __init__(self, bundle: Bundle | Exception, kept: Bundle | None = None) -> None:
        super().__init__(bundle)
        self.kept = kept

    def remember(self, bundle: Bundle) -> None:
        self.kept = bundle

    def last_good(self) -> Bundle:
        if self.kept is None:
            raise RegistryUnreachable("no last good set is kept on this machine")
        return self.kept


class SlowSource(ChangingSource):
    """Counts how many look at it at the same time."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.present = 0
        self.most = 0

    def fetch(self) -> Bundle:
        self.present += 1
        self.most = max(self.most, self.present)
        time.sleep(0.02)
        self.present -= 1
        return super().fetch()


class RevokingSource(RememberingSource):
    """Refuses what a test revokes, also from its disk."""

    def __init__(self, bundle: Bundle | Exception, kept: Bundle | None = None) -> None:
        super().__init__(bundle, kept)
        self.seen: dict[str, str] = {}
        self.unreadable = False

    def revoke(self, digest: str) -> None:
        self.seen[digest] = "for a test"
        self.promotions += 1

    def revoked(self) -> dict[str, str]:
        if self.unreadable:
            raise ArtefactRefused("the list of revoked artefacts is not valid")
        return self.seen

    def last_good(self) -> Bundle:
        left = spared(super().last_good(), self.seen)
        if left is None:
            raise ArtefactRefused("the readout is revoked")
        return left
