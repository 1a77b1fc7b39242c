"""The announcement of a policy set: opened whole, with every signature, or refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.runtime.trust import open_policy, read_trust
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.announcement import open_announcement, read_announced
from civicbus_schemas.errors import InvalidAgreement, Stopped
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.statement import Standing, Word, parse_statement

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import Document
from tests.unit.statement_samples import (
    MOJ,
    MPS,
    announcement,
    approved_document,
    statement,
    trust,
    trust_document,
)


@pytest.fixture
def trust_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(trust_document()))
    return path


def test_a_set_is_opened_when_all_have_signed(trust_file: Path) -> None:
    data = announcement(approved_document())
    policy = open_policy(data, trust_file)
    assert {a.standing for a in policy.agreements} == {Standing.APPROVED}
    assert policy == parse_policy_set(read_announced(data))


def _without_second(document: Document) -> None:
    del document["statements"][1]


def _forged_second(document: Document) -> None:
    second = document["statements"][1]
    second["signature"] = document["statements"][0]["signature"]


def _second_by_the_first_officer(document: Document) -> None:
    first, second = (parse_statement(body) for body in document["statements"][:2])
    again = statement(str(second.agreement), terms=second.terms, party=MOJ, days=1)
    document["statements"][1] = again.document() | {"agency": "mps", "role": "data-protection"}
    assert first.party == MOJ


def _changed_after(document: Document) -> None:
    document["agreements"][0]["retention"] = "P9Y"


def _replayed(document: Document) -> None:
    document["statements"].append(document["statements"][0])


def _resumed_by_the_other(document: Document) -> None:
    first = parse_statement(document["statements"][0])
    for party, word, day in ((MOJ, Word.SUSPEND, 1), (MPS, Word.RESUME, 2)):
        said = statement(str(first.agreement), terms=first.terms, word=word, party=party, days=day)
        document["statements"].append(said.document())


REFUSED: dict[str, tuple[Callable[[Document], None], str]] = {
    "missing second signature": (_without_second, "is a draft"),
    "forged second signature": (_forged_second, "is not genuine"),
    "one officer in both roles": (_second_by_the_first_officer, "is not genuine"),
    "terms changed after the approval": (_changed_after, "about other terms"),
    "a statement twice": (_replayed, "stands twice"),
}


@pytest.mark.parametrize(("spoil", "why"), REFUSED.values(), ids=REFUSED)
def test_a_set_is_refused_whole_when_an_approval_is_wrong(
    spoil: Callable[[Document], None], why: str, trust_file: Path
) -> None:
    document = approved_document()
    spoil(document)
    with pytest.raises(InvalidAgreement, match=why):
        open_announcement(announcement(document), trust())
    with pytest.raises(Stopped, match="is refused"):
        open_policy(announcement(document), trust_file)


def test_an_agreement_stays_suspended_when_the_other_party_resumes_it() -> None:
    document = approved_document()
    _resumed_by_the_other(document)
    policy = open_announcement(announcement(document), trust())
    assert policy.agreements[0].standing is Standing.SUSPENDED


@pytest.mark.parametrize("by", ["somebody", MOJ])
def test_a_set_is_refused_when_another_announces_it(by: Any) -> None:
    with pytest.raises(InvalidAgreement, match="who may announce"):
        open_announcement(announcement(approved_document(), by=by), trust())


def test_a_set_is_refused_when_a_byte_of_it_was_changed() -> None:
    data = announcement(approved_document())
    other = data.replace(b'"nation":"testland"', b'"nation":"testlend"')
    assert other != data
    with pytest.raises(InvalidAgreement, match="who may announce"):
        open_announcement(other, trust())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"policy": {}}', samples.policy_bytes(), b" " + b"{}", b"\xff" * 9],
)
def test_bytes_are_refused_when_they_are_no_announcement(data: bytes) -> None:
    with pytest.raises(InvalidAgreement):
        open_announcement(data, trust())
    with pytest.raises(InvalidAgreement):
        read_announced(data)


@pytest.mark.parametrize("signature", ["zz", "", 5, "00" * 64])
def test_a_set_is_refused_when_its_signature_is_none(signature: Any) -> None:
    document = json.loads(announcement(approved_document()))
    document["signature"] = signature
    spoilt = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with pytest.raises(InvalidAgreement, match=r"who may announce|one spelling"):
        open_announcement(spoilt.encode(), trust())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("officers"),
        lambda d: d["announcers"].update({"00" * 8: "ab" * 32}),
        lambda d: d["announcers"].update({"00" * 8: "ab"}),
        lambda d: next(iter(d["officers"].values())).update(role="king"),
        lambda d: next(iter(d["officers"].values())).update(public_key="zz"),
        lambda d: d.update(officers=[]),
    ],
)
def test_trusted_keys_are_refused_when_one_is_malformed(
    trust_file: Path, spoil: Callable[[Document], Any]
) -> None:
    document = trust_document()
    spoil(document)
    trust_file.write_text(json.dumps(document))
    with pytest.raises(InvalidSettings):
        read_trust(trust_file)


def test_a_process_stops_when_the_trusted_keys_are_gone(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="cannot be read"):
        open_policy(announcement(approved_document()), tmp_path / "none.json")
