"""Secrets of subjects: derivations by hand, and what may never be equal."""

from __future__ import annotations

import hmac

import pytest
from civicbus_schemas import subject as subjects
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.subject import VaultKey
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.vault import SINCE

KEY, RANDOM = bytes(range(32)), bytes(range(100, 132))
PIN = Pin("001324012345")
PINS = st.integers(min_value=0, max_value=10**12 - 1).map(lambda n: Pin(f"{n:012}"))
NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)
AGENCIES = st.sampled_from([AgencyId("vss"), AgencyId("bank")])
SUBJECTS = st.one_of(
    PINS.map(subjects.person),
    st.builds(subjects.officer, AGENCIES, NAMES),
    st.builds(subjects.case, AGENCIES, NAMES),
)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()


def test_names_and_keys_are_those_of_the_description_when_made_by_hand() -> None:
    secret = mac(KEY, b"secret\x00" + RANDOM)
    made = VaultKey(KEY).secret_of(RANDOM, since=SINCE)
    assert made.pseudonym == mac(secret, b"pseudonym")[:16].hex()
    assert made.sealing_key == mac(secret, b"seal")
    expected = mac(KEY, b"subject\x00vn-pin\x00001324012345")
    assert VaultKey(KEY).row_of(subjects.person(PIN)) == expected


@given(st.sets(SUBJECTS, min_size=2, max_size=8))
def test_two_subjects_never_share_a_row(chosen: set[subjects.Subject]) -> None:
    assert len({VaultKey(KEY).row_of(subject) for subject in chosen}) == len(chosen)


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=2, max_size=8))
def test_two_rows_never_share_a_name_or_a_key(randoms: set[bytes]) -> None:
    made = [VaultKey(KEY).secret_of(random, since=SINCE) for random in randoms]
    assert len({secret.pseudonym for secret in made}) == len(randoms)
    assert len({secret.sealing_key for secret in made}) == len(randoms)


def test_a_row_says_nothing_when_the_vaults_key_is_another() -> None:
    other = VaultKey(KEY[::-1])
    assert other.row_of(subjects.person(PIN)) != VaultKey(KEY).row_of(subjects.person(PIN))
    mine, theirs = (key.secret_of(RANDOM, since=SINCE) for key in (VaultKey(KEY), other))
    assert (mine.pseudonym, mine.sealing_key) != (theirs.pseudonym, theirs.sealing_key)


def test_nobody_is_named_when_subjects_and_secrets_are_shown() -> None:
    secret = VaultKey(KEY).secret_of(RANDOM, since=SINCE)
    shown = repr(subjects.person(PIN)) + repr(secret)
    assert PIN.number not in shown
    assert secret.sealing_key.hex() not in shown
    assert repr(secret.sealing_key) not in shown


def test_a_short_key_is_refused() -> None:
    with pytest.raises(Refused, match="too short"):
        VaultKey(b"v" * 31)
