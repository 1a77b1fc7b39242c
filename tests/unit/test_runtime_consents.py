"""The store of consents: what was put last is what is found, whatever else was put."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from civicbus_consumers.runtime import consents as module
from civicbus_consumers.runtime.consents import ConsentStore
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.errors import InvalidBytes, Stopped
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import enforcement_samples as samples
from tests.unit.schemas_samples import AT


def state(number: int, *, size: int = 1) -> SubjectConsents:
    """Consents that tell of a number, the more the larger."""
    return SubjectConsents(
        tuple(
            samples.consent(id=f"{number}-{n}", since=AT + timedelta(seconds=number))
            for n in range(size)
        )
    )


def put(store: ConsentStore, key: bytes, consents: SubjectConsents) -> None:
    store.put(key, frame(7, consents.encode()))


def test_nothing_is_found_when_nothing_was_put() -> None:
    store = ConsentStore()
    assert store.get(b"nobody") is NO_CONSENTS
    assert len(store) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(0, 6)),
        max_size=30,
    )
)
def test_the_last_state_is_found_when_subjects_change(changes: list[tuple[int, int, int]]) -> None:
    store, model = ConsentStore(), dict[bytes, SubjectConsents]()
    for subject, number, size in changes:
        key = f"subject-{subject}".encode()
        model[key] = state(number, size=size)
        put(store, key, model[key])
    assert {key: store.get(key) for key in model} == model
    assert len(store) == len(model)


def test_every_subject_is_found_when_the_store_has_grown_many_times() -> None:
    store = ConsentStore()
    bodies = [frame(7, state(number).encode()) for number in range(10)]
    keys = [f"{random.Random(n).getrandbits(128):032x}".encode() for n in range(20_000)]  # noqa: S311
    for number, key in enumerate(keys):
        store.put(key, bodies[number % 10])
    assert all(store.get(key) == state(number % 10) for number, key in enumerate(keys))
    assert store.get(b"0" * 32) is NO_CONSENTS
    assert store.memory_bytes <= 16 * len(store)


def test_keys_are_told_apart_when_their_tags_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_tag", lambda digest: digest[0] % 2 * (2**32 - 1))
    store = ConsentStore()
    for number in range(60):
        put(store, b"%d" % number, state(number))
    assert [store.get(b"%d" % number) for number in range(60)] == [state(n) for n in range(60)]


def test_a_state_is_read_whole_when_it_is_larger_than_most() -> None:
    store = ConsentStore()
    put(store, b"many", state(1, size=400))
    put(store, b"one", state(2))
    assert store.get(b"many") == state(1, size=400)


def test_a_group_stops_when_the_file_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ConsentStore()
    put(store, b"first", state(1))
    monkeypatch.setattr(module, "MAX_BYTES", 512)
    with pytest.raises(Stopped, match="full"):
        put(store, b"second", state(2, size=9))
    assert store.get(b"first") == state(1)


@pytest.mark.parametrize("value", [None, b"", b"\x01\x00\x00\x00\x07"])
def test_a_state_is_refused_when_it_is_not_framed(value: bytes | None) -> None:
    with pytest.raises(InvalidBytes):
        ConsentStore().put(b"key", value)
