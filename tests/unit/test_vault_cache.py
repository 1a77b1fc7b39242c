"""The recorders' cache of secrets: what it asks, keeps and forgets."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from civicbus_audit.vault.cached import CachedVault
from civicbus_schemas import subject as subjects
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.subject import Secrets, Subject

from tests.fakes.vault import FakeVault

A, B, C = (subjects.person(Pin(f"00132401234{digit}")) for digit in range(3))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def cached(vault: FakeVault, clock: Clock, *, max_secrets: int = 10) -> CachedVault:
    return CachedVault(vault, clock=clock, max_age_s=60.0, max_secrets=max_secrets)


def test_the_vault_is_asked_once_for_what_is_new_when_a_batch_comes() -> None:
    vault = FakeVault()
    cache = cached(vault, Clock())
    cache.get_or_create([A, B])
    assert cache.get_or_create([C, A, B]) == FakeVault().get_or_create([A, B, C])
    cache.get_or_create([A, B, C])
    assert vault.asked == [(A, B), (C,)]


def test_a_destroyed_secret_is_used_until_the_age_and_never_after() -> None:
    vault, clock = FakeVault(), Clock()
    cache = cached(vault, clock)
    before = cache.get_or_create([A])
    vault.destroy(before[A].pseudonym)
    clock.now = 59.9
    assert cache.get_or_create([A]) == before
    clock.now = 60.0
    assert cache.get_or_create([A])[A].pseudonym != before[A].pseudonym


def test_the_age_counts_from_the_question_when_the_answer_was_slow() -> None:
    """A row that was destroyed while the answer was under way is forgotten in time."""
    vault, clock = FakeVault(), Clock()

    class Slow(FakeVault):
        def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
            found = vault.get_or_create(subjects)
            clock.now += 30.0
            return found

    cache = cached(Slow(), clock)
    before = cache.get_or_create([A])
    vault.destroy(before[A].pseudonym)
    clock.now = 60.0
    assert cache.get_or_create([A])[A].pseudonym != before[A].pseudonym


def test_the_least_lately_used_leaves_when_there_are_too_many() -> None:
    vault = FakeVault()
    cache = cached(vault, Clock(), max_secrets=2)
    cache.get_or_create([A, B])
    cache.get_or_create([A])
    cache.get_or_create([C])
    cache.get_or_create([A, C])
    assert vault.asked == [(A, B), (C,)]
    cache.get_or_create([B])
    assert vault.asked[-1] == (B,)


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_known_when_the_vault_does_not_answer(fault: str) -> None:
    vault = FakeVault(**{fault: True})  # type: ignore[arg-type]
    cache = cached(vault, Clock())
    with pytest.raises(Unavailable):
        cache.get_or_create([A])
    setattr(vault, fault, False)
    assert cache.get_or_create([A]) == vault.find([A])
