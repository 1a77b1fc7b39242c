"""A recorder's cache of secrets: bounded in number and in age.

An age limit makes an erasure complete everywhere: nobody uses a destroyed secret for longer than
`MAX_AGE_S` after its row was gone.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.subject import Secret, Secrets, Subject

from civicbus_audit.vault.port import Vault

MAX_AGE_S = 60.0
MAX_SECRETS = 100_000
"""About 50 MB, and more subjects than a process meets within the age."""


class CachedVault:
    """A vault whose secrets are kept for a while; the least lately used leaves first.

    May be called from several threads: they ask one after the other.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_age_s: float = MAX_AGE_S,
        max_secrets: int = MAX_SECRETS,
    ) -> None:
        self._vault, self._clock = vault, clock
        self._max_age_s, self._max_secrets = max_age_s, max_secrets
        self._kept: OrderedDict[Subject, tuple[float, Secret]] = OrderedDict()
        self._lock = threading.Lock()

    def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        """As `Vault` says; asks it once, for those subjects that are not kept or too old."""
        with self._lock:
            return self._get_or_create(subjects)

    def find(self, subjects: Collection[Subject]) -> Secrets:
        """As `Finding` says; never from the cache, which knows no absence."""
        with self._lock:
            return self._vault.find(subjects)

    def named(self, pseudonyms: Collection[LedgerPseudonym]) -> Mapping[LedgerPseudonym, Secret]:
        """As `Finding` says; never from the cache."""
        with self._lock:
            return self._vault.named(pseudonyms)

    def _get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        asked_at, found, missing = self._clock(), dict[Subject, Secret](), list[Subject]()
        for subject in subjects:
            kept = self._kept.get(subject)
            if kept is not None and asked_at - kept[0] < self._max_age_s:
                self._kept.move_to_end(subject)
                found[subject] = kept[1]
            else:
                missing.append(subject)
        if missing:
            made = self._vault.get_or_create(missing)
            self._keep(made, asked_at)
            found.update(made)
        return found

    def _keep(self, made: Secrets, asked_at: float) -> None:
        for subject, secret in made.items():
            self._kept[subject] = asked_at, secret
            self._kept.move_to_end(subject)
        while len(self._kept) > self._max_secrets:
            self._kept.popitem(last=False)
