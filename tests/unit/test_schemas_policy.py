"""The policy set: accepted whole or refused whole, in one spelling, with every cross-check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from civicbus_schemas.errors import InvalidAgreement, InvalidContract
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.nation import load_contracts
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.topics import SourceTopic

from tests.tidy.rules import ROOT
from tests.unit import schemas_samples as samples
from tests.unit import statement_samples as signed
from tests.unit.schemas_samples import BIRTH, PERSON, Document

Spoil = Callable[[Document], Any]
VIETNAM = ROOT / "schemas/civicbus_schemas/vietnam"


def deal(document: Document, index: int = 0) -> Document:
    """One of the agreements: 0 rests on law, 1 on consent."""
    agreement: Document = document["agreements"][index]
    return agreement


def test_a_set_is_read_whole_when_it_is_right() -> None:
    policy = parse_policy_set(samples.policy_bytes())
    assert policy.nation == "testland"
    assert set(policy.agencies) == {"moj", "mps", "vss", "bank"}
    assert policy.bases["consent.person"].needs_consent
    assert policy.purposes["credit.check"].bases == ("consent.person",)
    assert set(policy.contracts) == {BIRTH, PERSON}
    assert [str(a.ref) for a in policy.agreements] == ["vss.child-insurance@3", "bank.borrower@1"]
    assert policy.source_topics() == (SourceTopic(policy.agencies["moj"].id, "civil-status"),)  # type: ignore[index]


def test_the_version_is_sha256_of_the_bytes_when_a_set_is_read() -> None:
    data = samples.policy_bytes()
    assert parse_policy_set(data).version == hashlib.sha256(data).hexdigest()


def test_an_agreement_is_got_when_the_set_has_it() -> None:
    policy = parse_policy_set(samples.policy_bytes())
    assert policy.get_agreement(AgreementRef("bank.borrower", 1)) is policy.agreements[1]
    with pytest.raises(InvalidAgreement, match="not in the policy set"):
        policy.get_agreement(AgreementRef("bank.borrower", 2))


SPOILT: dict[str, Spoil] = {
    "unknown key": lambda d: d.update(rules=[]),
    "missing key": lambda d: d.pop("bases"),
    "nation that is no text": lambda d: d.update(nation=5),
    "agencies that are a list": lambda d: d.update(agencies=["moj"]),
    "agency that is null": lambda d: d["agencies"].update(moj=None),
    "agency with an unknown key": lambda d: d["agencies"]["moj"].update(secret=True),
    "agency without a name": lambda d: d["agencies"]["moj"].pop("names"),
    "agency with a name in French": lambda d: d["agencies"]["moj"]["names"].update(fr="nom"),
    "agency with a malformed id": lambda d: d["agencies"].update(MOJ=d["agencies"]["moj"]),
    "families that are a text": lambda d: d["agencies"]["moj"].update(publishes="civil-status"),
    "families that are numbers": lambda d: d["agencies"]["moj"].update(publishes=[1]),
    "purpose with an unknown key": lambda d: d["purposes"]["credit.check"].update(days=5),
    "purpose with a malformed id": lambda d: d["purposes"].update(check={}),
    "basis whose consent is a text": lambda d: d["bases"]["law.state"].update(
        needs_consent="false"
    ),
    "basis without an article": lambda d: d["bases"]["law.state"].update(article=""),
    "agreements that are an object": lambda d: d.update(agreements={}),
    "agreement that is a text": lambda d: d["agreements"].append("x"),
    "agreement that stands twice": lambda d: d["agreements"].append(deal(d)),
    "agreement that differs only in a dash": lambda d: d["agreements"].append(
        deal(d) | {"agreement": "vss.child.insurance"}
    ),
    "two versions in force on one day": lambda d: d["agreements"].append(
        deal(d) | {"version": 4, "valid": deal(d)["valid"] | {"from": deal(d)["valid"]["until"]}}
    ),
    "agreement with an unknown key": lambda d: deal(d).update(priority=1),
    "unknown provider": lambda d: deal(d).update(provider="mof"),
    "unknown recipient": lambda d: deal(d).update(recipient="mof"),
    "two agreements for one thing": lambda d: d["agreements"].append(
        deal(d) | {"agreement": "vss.births"}
    ),
    "provider's role in another's hands": lambda d: deal(d).update(
        approved_by=[
            {"agency": "mps", "role": "provider"},
            {"agency": "moj", "role": "data-protection"},
        ]
    ),
    "data protection by an agency that is none": lambda d: deal(d)["approved_by"][1].update(
        agency="moj"
    ),
    "data protection is neither yes nor no": lambda d: d["agencies"]["mps"].update(
        data_protection="no"
    ),
    "statement on nothing": lambda d: d["statements"].append(
        signed.statement("vss.other@1", terms="0" * 64).document()
    ),
    "statement on other terms": lambda d: d["statements"].append(
        signed.statement(f"{deal(d)['agreement']}@3", terms="0" * 64).document()
    ),
    "unknown approver": lambda d: deal(d)["approved_by"][1].update(agency="mof"),
    "unknown purpose": lambda d: deal(d).update(purpose="insurance.sell"),
    "unknown basis": lambda d: deal(d).update(basis="law.other"),
    "basis that the purpose does not name": lambda d: d["purposes"]["insurance.enrol"].update(
        bases=["consent.person"]
    ),
    "basis that does not serve the recipient": lambda d: d["bases"]["law.state"].update(
        recipient_kinds=["bank"]
    ),
    "basis with an unknown access": lambda d: d["bases"]["law.state"].update(access=["secret"]),
    "emergency on a basis that is for none": lambda d: deal(d).update(
        releases={}, reads={PERSON: {"read": ["full_name"]}}, access="break-glass"
    ),
    "unknown access": lambda d: deal(d).update(access="secret"),
    "emergency on a stream": lambda d: (
        deal(d).update(access="break-glass"),
        d["bases"]["law.state"].update(access=["break-glass"]),
    ),
    "law with consent": lambda d: deal(d).update(consent="required"),
    "consent without consent": lambda d: deal(d, 1).update(consent="not-required"),
    "unknown event type": lambda d: deal(d).update(
        releases={"civil-status.Death": {"fields": ["child.pin"]}}
    ),
    "unknown view": lambda d: deal(d, 1).update(reads={"population.Card": {"read": ["pin"]}}),
    "view among the releases": lambda d: deal(d).update(releases={PERSON: {"fields": ["pin"]}}),
    "event type among the readings": lambda d: deal(d, 1).update(
        reads={BIRTH: {"read": ["remarks"]}}
    ),
    "provider that does not publish": lambda d: d["agencies"]["moj"].update(publishes=[]),
    "provider that does not keep the view": lambda d: d["agencies"]["moj"].update(keeps=[]),
    "recipient that does not receive": lambda d: d["agencies"]["vss"].update(receives=[]),
    "field not in the contract": lambda d: deal(d)["releases"][BIRTH]["fields"].append("child.id"),
    "field not in the view": lambda d: deal(d, 1).update(reads={PERSON: {"read": ["phone"]}}),
    "pseudonym of what is no number": lambda d: deal(d)["releases"][BIRTH]["fields"].append(
        {"child.full_name": "pairwise-pseudonym"}
    ),
    "condition on no field": lambda d: deal(d)["releases"][BIRTH].update(
        only_if=[{"child.age": {"age-under-years": 6}}]
    ),
    "condition on what is no day": lambda d: deal(d)["releases"][BIRTH].update(
        only_if=[{"registered_at": {"age-under-years": 6}}]
    ),
    "consent for another's fields": lambda d: deal(d, 1).update(
        reads={PERSON: {"read": ["mother_pin"]}}
    ),
    "owner that is no agency": lambda d: d["contracts"][BIRTH]["fields"][2].update(owner="mof"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_set_is_refused_whole_when_one_thing_is_wrong(spoil: Spoil) -> None:
    document = samples.policy()
    spoil(document)
    with pytest.raises(InvalidAgreement):
        parse_policy_set(samples.policy_bytes(document))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["contracts"].update({PERSON: d["contracts"][BIRTH]}),
        lambda d: d["contracts"].update({PERSON: None}),
        lambda d: d["contracts"][BIRTH]["fields"][2].pop("owner"),
        lambda d: d["contracts"][BIRTH]["fields"].append("x"),
    ],
)
def test_a_set_is_refused_when_a_contract_is_wrong(spoil: Spoil) -> None:
    document = samples.policy()
    spoil(document)
    with pytest.raises(InvalidContract):
        parse_policy_set(samples.policy_bytes(document))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{", b"[]", b"5", b"null", b"[" * 200_000, b'"\\ud800"', b"NaN"],
    ids=lambda data: data[:8].hex(),
)
def test_a_set_is_refused_when_it_is_no_object(data: bytes) -> None:
    with pytest.raises(InvalidAgreement):
        parse_policy_set(data)


@pytest.mark.parametrize(
    "respell",
    [
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: data.replace(b'"nation":"testland"', b'"nation":"x","nation":"testland"'),
        lambda data: data.replace("tên".encode(), b"t\\u00ean"),
    ],
    ids=["newline", "spaces", "key twice", "escape"],
)
def test_a_set_is_refused_when_it_is_not_in_its_one_spelling(
    respell: Callable[[bytes], bytes],
) -> None:
    data = respell(samples.policy_bytes())
    assert data != samples.policy_bytes()
    with pytest.raises(InvalidAgreement, match="one spelling"):
        parse_policy_set(data)


def test_versions_of_an_agreement_are_in_one_set_when_they_follow_each_other() -> None:
    document = samples.policy()
    earlier = deal(document)
    valid = {"from": "2000-01-01", "until": "2000-12-31"}
    document["agreements"].append(earlier | {"version": 2, "valid": valid})
    refs = {str(a.ref) for a in parse_policy_set(samples.policy_bytes(document)).agreements}
    assert {"vss.child-insurance@2", "vss.child-insurance@3"} <= refs


def test_a_field_about_another_is_released_when_the_basis_needs_no_consent() -> None:
    document = samples.policy()
    deal(document)["releases"][BIRTH]["fields"].append("parents[].full_name")
    parse_policy_set(samples.policy_bytes(document))


def test_the_whole_nation_parses_when_its_files_are_put_together_by_hand() -> None:
    """Another loader than provisioning's, so that neither hides the other's mistake."""
    agencies = yaml.safe_load((VIETNAM / "agencies.yaml").read_text("utf-8"))
    purposes = yaml.safe_load((VIETNAM / "purposes.yaml").read_text("utf-8"))
    agreements = [
        yaml.safe_load(file.read_text("utf-8"))
        for file in sorted((VIETNAM / "agreements").glob("*.yaml"))
    ]
    for agreement in agreements:
        agreement["valid"] = {key: str(day) for key, day in agreement["valid"].items()}
    contracts = {
        f"{file.parent.name}.{file.stem}": json.loads(file.read_text("utf-8"))
        for file in VIETNAM.glob("contracts/*/*.avsc")
    }
    rules = {file.stem: file.read_text("utf-8") for file in VIETNAM.glob("rules/*.cedar")}
    document = {"nation": "vietnam", "agreements": agreements, "contracts": contracts}
    document |= {"rules": rules, "statements": []}
    policy = parse_policy_set(samples.policy_bytes(document | agencies | purposes))
    assert set(policy.contracts) == set(load_contracts())
    assert len(policy.agreements) >= 10
