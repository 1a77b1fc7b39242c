"""Statements: the life of an agreement is what both its parties have signed about its terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, AgreementRef
from civicbus_schemas.statement import (
    Party,
    Role,
    Standing,
    Statement,
    Word,
    check_reason,
    parse_statement,
    standing_of,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statement_samples import MOJ, MPS, key_of, statement, trust, words

REF = AgreementRef("vss.child-insurance", 3)
TERMS = "ab" * 32
APPROVED = [(MOJ, Word.APPROVE), (MPS, Word.APPROVE)]


def standing(statements: Any) -> Standing:
    return standing_of(REF, terms=TERMS, parties=(MOJ, MPS), statements=statements)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], Standing.DRAFT),
        (APPROVED[:1], Standing.DRAFT),
        ([APPROVED[0], APPROVED[0]], Standing.DRAFT),
        (APPROVED, Standing.APPROVED),
        ([*APPROVED, (MOJ, Word.SUSPEND)], Standing.SUSPENDED),
        ([*APPROVED, (MOJ, Word.SUSPEND), (MPS, Word.RESUME)], Standing.SUSPENDED),
        ([*APPROVED, (MOJ, Word.SUSPEND), (MOJ, Word.RESUME)], Standing.APPROVED),
        ([*APPROVED, (MOJ, Word.SUSPEND), (MPS, Word.SUSPEND), (MOJ, Word.RESUME)],
         Standing.SUSPENDED),
        ([*APPROVED, (MPS, Word.REVOKE)], Standing.REVOKED),
        ([*APPROVED, (MPS, Word.REVOKE), (MPS, Word.APPROVE), (MPS, Word.RESUME)],
         Standing.REVOKED),
        ([*APPROVED, (MOJ, Word.SUSPEND), (MOJ, Word.APPROVE)], Standing.SUSPENDED),
        ([(MOJ, Word.SUSPEND), *APPROVED], Standing.APPROVED),
    ],
)  # fmt: skip
def test_an_agreement_stands_where_its_parties_put_it(
    said: list[tuple[Party, Word]], expected: Standing
) -> None:
    assert standing(words(*said)) is expected


def test_what_others_say_or_what_is_said_about_other_terms_counts_nothing() -> None:
    stranger = Party(AgencyId("bank"), Role.DATA_PROTECTION)
    said = words(APPROVED[0], (stranger, Word.APPROVE))
    assert standing(said) is Standing.DRAFT
    other = [replace(s, terms="cd" * 32) for s in words(*APPROVED)]
    assert standing(other) is Standing.DRAFT


def test_it_is_stopped_when_two_words_of_one_party_bear_one_time() -> None:
    approved = words(*APPROVED)
    stop = statement(str(REF), terms=TERMS, word=Word.SUSPEND, days=5)
    go = statement(str(REF), terms=TERMS, word=Word.RESUME, days=5)
    assert standing([*approved, stop, go]) is standing([*approved, go, stop]) is Standing.SUSPENDED


@given(
    st.lists(st.tuples(st.sampled_from([MOJ, MPS]), st.sampled_from(Word)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_order_of_reading_does_not_matter(said: list[tuple[Party, Word]], random: Any) -> None:
    statements = list(words(*said))
    before = standing(statements)
    random.shuffle(statements)
    assert standing(statements) is before
    if any(word is Word.REVOKE for _, word in said):
        assert before is Standing.REVOKED


def test_a_statement_is_read_as_it_was_written() -> None:
    written = statement(str(REF), terms=TERMS)
    assert parse_statement(written.document()) == written
    assert trust().vouches(written)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("reason"),
        lambda d: d.update(note="x"),
        lambda d: d.update(word="bless"),
        lambda d: d.update(role="recipient"),
        lambda d: d.update(agency="MOJ"),
        lambda d: d.update(agreement="vss.child-insurance"),
        lambda d: d.update(terms="ab"),
        lambda d: d.update(key="AB" * 8),
        lambda d: d.update(signature=""),
        lambda d: d.update(at="2026-01-02"),
        lambda d: d.update(at="2026-01-02T03:04:05"),
        lambda d: d.update(at="2026-01-02T03:04:05+00:00"),
        lambda d: d.update(at=5),
        lambda d: d.update(reason=""),
        lambda d: d.update(reason="x" * 201),
        lambda d: d.update(reason="two\nlines"),
    ],
)
def test_a_statement_is_refused_when_one_thing_is_wrong(spoil: Callable[[Any], Any]) -> None:
    document = statement(str(REF), terms=TERMS).document()
    spoil(document)
    with pytest.raises(InvalidAgreement):
        parse_statement(document)
    with pytest.raises(InvalidAgreement):
        parse_statement([document])


FORGERIES: dict[str, Callable[[Statement], Statement]] = {
    "another word": lambda s: replace(s, word=Word.REVOKE),
    "another agreement": lambda s: replace(s, agreement=AgreementRef(REF.id, 4)),
    "other terms": lambda s: replace(s, terms="cd" * 32),
    "another time": lambda s: replace(s, at=s.at + timedelta(microseconds=1)),
    "a reason": lambda s: replace(s, reason="for it was asked"),
    "another party": lambda s: replace(s, party=MPS),
    "a key that nobody trusts": lambda s: replace(s, key="00" * 8),
    "another officer's signature": lambda s: replace(
        s, signature=key_of(MPS).sign(s.signed_bytes()).hex()
    ),
    "a flipped bit": lambda s: replace(s, signature=f"{int(s.signature, 16) ^ 1:0128x}"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_nobody_vouches_when_a_statement_was_changed(
    forge: Callable[[Statement], Statement],
) -> None:
    genuine = statement(str(REF), terms=TERMS)
    assert not trust().vouches(forge(genuine))


def test_a_time_is_the_same_when_it_was_told_in_another_zone() -> None:
    genuine = statement(str(REF), terms=TERMS)
    hanoi = replace(genuine, at=genuine.at.astimezone(timezone(timedelta(hours=7))))
    assert trust().vouches(hanoi)


def test_a_reason_is_one_line_or_none() -> None:
    assert check_reason(None) is None
    assert check_reason("điều tra") == "điều tra"


@pytest.mark.parametrize("reason", ["", "  ", "one\ntwo", "x" * 201, 7])
def test_what_a_reason_must_be_is_told_when_it_is_none_such(reason: object) -> None:
    with pytest.raises(InvalidAgreement, match="one line of 1 to 200 characters"):
        check_reason(reason)
