"""A small nation for the tests of the language: right documents, to be spoilt in one place.

Every call gives fresh copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import rfc8785
from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.ids import (
    AgencyId,
    AgreementRef,
    EventId,
    EventType,
    Fingerprint,
    PolicyVersion,
    RecorderId,
    RecordId,
)
from civicbus_schemas.page import PageHeader, PageRef, Position
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Clock, Positions, Record, Request, Source
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

Document = dict[Any, Any]

AT = datetime(2026, 11, 21, 8, 30, 0, 123456, tzinfo=UTC)
BIRTH = EventType("civil-status.Birth")
PERSON = EventType("population.Person")
DATE = {"type": "int", "logicalType": "date"}


def leaf(name: str, type_: Any = "string", *, subject: str = "child", **more: Any) -> Document:
    """A labelled field."""
    return {
        "name": name,
        "type": type_,
        "owner": "moj",
        "sensitivity": "basic",
        "category": "pd:Name",
        "subject": subject,
        "doc": f"The {name}.",
    } | more


def birth() -> Document:
    """A contract with every shape we carry: nested, repeated, nullable, logical."""
    child = {
        "type": "record",
        "name": "BirthChild",
        "fields": [
            leaf("pin"),
            leaf("date_of_birth", dict(DATE), category="pd:BirthDate"),
            leaf("full_name"),
            leaf("ethnicity", ["null", "string"], default=None, sensitivity="sensitive"),
        ],
    }
    parent = {
        "type": "record",
        "name": "BirthParent",
        "fields": [leaf("pin", subject="parents"), leaf("full_name", subject="parents")],
    }
    return {
        "type": "record",
        "name": "Birth",
        "namespace": "vn.civil_status",
        "doc": "A birth.",
        "family": "civil-status",
        "subjects": [
            {"name": "child", "path": "child.pin"},
            {"name": "parents", "path": "parents[].pin"},
        ],
        "fields": [
            {"name": "child", "type": child, "doc": "The child."},
            {
                "name": "parents",
                "type": {"type": "array", "items": parent},
                "doc": "The parents.",
            },
            leaf("remarks", {"type": "array", "items": "string"}),
            leaf("registered_at", {"type": "long", "logicalType": "timestamp-micros"}),
        ],
    }


def person() -> Document:
    """A view."""
    return {
        "type": "record",
        "name": "Person",
        "namespace": "vn.population",
        "doc": "A person.",
        "family": "population",
        "view": True,
        "subjects": [
            {"name": "person", "path": "pin"},
            {"name": "mother", "path": "mother_pin"},
        ],
        "fields": [
            leaf("pin", subject="person"),
            leaf("full_name", ["null", "string"], default=None, subject="person"),
            leaf("mother_pin", ["null", "string"], default=None, subject="mother"),
        ],
    }


def birth_contract() -> Contract:
    """The parsed contract of `birth`."""
    return parse_contract(birth())


def birth_datum() -> Document:
    """An event of `birth`."""
    return {
        "child": {
            "pin": "001324012345",
            "date_of_birth": date(2026, 11, 20),
            "full_name": "Nguyễn Minh Anh",
            "ethnicity": None,
        },
        "parents": [
            {"pin": "001190000001", "full_name": "Nguyễn Văn Bình"},
            {"pin": "001190000002", "full_name": "Trần Thị Hoa"},
        ],
        "remarks": ["born at home"],
        "registered_at": AT,
    }


RULES = """
@id("minors-for-named-purposes-only") @legalbasis("Law 2")
forbid (principal, action, resource) when { context.minor }
unless { context.purpose in Purpose::"minors" };
"""


def agreement() -> Document:
    """An agreement on `birth` that rests on law."""
    return {
        "agreement": "vss.child-insurance",
        "version": 3,
        "provider": "moj",
        "recipient": "vss",
        "purpose": "insurance.enrol",
        "basis": "law.state",
        "consent": "not-required",
        "releases": {
            BIRTH: {
                "fields": ["child.pin", {"parents[].pin": "pairwise-pseudonym"}],
                "only_if": [{"child.date_of_birth": {"age-under-years": 6}}],
            }
        },
        "valid": {"from": "2026-01-01", "until": "2028-12-31"},
        "retention": "P2Y",
        "approved_by": [
            {"agency": "moj", "role": "provider"},
            {"agency": "mps", "role": "data-protection"},
        ],
    }


def consented() -> Document:
    """An agreement on `population.Person` that rests on the citizen's consent."""
    return agreement() | {
        "agreement": "bank.borrower",
        "version": 1,
        "recipient": "bank",
        "purpose": "credit.check",
        "basis": "consent.person",
        "consent": "required",
        "releases": {},
        "reads": {PERSON: {"verify": ["full_name"]}},
    }


def policy() -> Document:
    """A policy set that holds all of the above."""
    agencies = {
        "moj": _agency("state", publishes=["civil-status"], keeps=["population"]),
        "mps": _agency("state", data_protection=True),
        "vss": _agency("state", receives=["civil-status"]),
        "bank": _agency("bank"),
    }
    return {
        "nation": "testland",
        "agencies": agencies,
        "purposes": {
            "insurance.enrol": _purpose(["law.state"], groups=["minors"]),
            "credit.check": _purpose(["consent.person"], groups=["minors"]),
        },
        "bases": {
            "law.state": _basis(needs_consent=False, kinds=["state"]),
            "consent.person": _basis(needs_consent=True, kinds=["state", "bank"]),
        },
        "agreements": [agreement(), consented()],
        "statements": [],
        "rules": {"persons": RULES},
        "contracts": {BIRTH: birth(), PERSON: person()},
    }


def policy_bytes(document: Mapping[str, Any] | None = None) -> bytes:
    """RFC 8785 bytes by another implementation than ours."""
    return rfc8785.dumps(deepcopy(dict(document or policy())))


def record(**changes: Any) -> Record:
    """A record in which every field holds something."""
    values: Document = {
        "id": RecordId("0f" * 16),
        "nonce": bytes(range(16)),
        "kind": RecordKind.ACCESS_DECISION,
        "at": AT,
        "actor": Actor(agency=AgencyId("vss"), system="enforce-0", role="clerk", officer="ab" * 16),
        "decision": Outcome.DENY,
        "recipient": AgencyId("vss"),
        "subject": LedgerPseudonym("cd" * 16),
        "agreement": AgreementRef("vss.child-insurance", 3),
        "event": Source(
            topic="src.moj.civil-status.v1",
            partition=7,
            offset=123_456_789_012,
            id=EventId("0190-ev"),
            schema=Fingerprint("ef" * 32),
        ),
        "positions": Positions(consent=42, view=43),
        "dataset": BIRTH,
        "fields": ("child.pin", "parents[].pin"),
        "purpose": "insurance.enrol",
        "basis": "law.state",
        "consent": "c-1@2",
        "reason": Reason.NO_CONSENT,
        "rule": "minors-for-named-purposes-only",
        "policy": PolicyVersion("12" * 32),
        "obligations": ("delete-after-P2Y",),
        "rows": 1,
        "size_bytes": 321,
        "payload_hash": "34" * 32,
        "req": Request(jti="t-1", id="r-1", trace="56" * 16, case="78" * 16),
        "clock": Clock(src="ntp", err_us=250),
        "sealed": "9a" * 32,
    }
    return Record(**values | changes)


def header(**changes: Any) -> PageHeader:
    """A header in which every field holds something."""
    recorder = RecorderId("aa" * 16)
    values: Document = {
        "process": "enforce-0",
        "recorder": recorder,
        "sequence": 5,
        "previous": "bb" * 32,
        "closes": PageRef(recorder=RecorderId("cc" * 16), sequence=17, hash="dd" * 32),
        "released": PageRef(recorder=recorder, sequence=4, hash="bb" * 32),
        "policy": PolicyVersion("ee" * 32),
        "at": AT,
        "positions": (
            Position(topic="state.consent.v1", partition=0, offset=9),
            Position(topic="state.policy.v1", partition=0, offset=2),
        ),
        "records": 1,
        "root": "ff" * 32,
    }
    return PageHeader(**values | changes)


def _agency(
    kind: str,
    *,
    publishes: Sequence[str] = (),
    receives: Sequence[str] = (),
    keeps: Sequence[str] = (),
    data_protection: bool = False,
) -> Document:
    return {
        "names": _title(),
        "kind": kind,
        "publishes": list(publishes),
        "receives": list(receives),
        "keeps": list(keeps),
        "data_protection": data_protection,
    }


def _purpose(bases: list[str], *, groups: Sequence[str] = ()) -> Document:
    return {"titles": _title(), "function": "Law 1", "bases": bases, "groups": list(groups)}


def _basis(*, needs_consent: bool, kinds: list[str]) -> Document:
    return {
        "titles": _title(),
        "article": "Law 1 Art 1",
        "needs_consent": needs_consent,
        "sensitive": True,
        "recipient_kinds": kinds,
        "access": ["ordinary"],
    }


def _title() -> Document:
    return {"vi": "tên", "en": "name"}
