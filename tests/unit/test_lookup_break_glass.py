"""Emergencies and investigations: what is released, how it is recorded, what stays forbidden."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from civicbus_consumers.lookup.plan import compile_reads
from civicbus_consumers.lookup.replies import Reply
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.fakes.lookup import FakePages
from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import Office
from tests.unit.lookup_samples import asked

HOSPITAL, POLICE = AgencyId("hospital-cho-ray"), AgencyId("mps")
WHY = "bất tỉnh, cần nhóm máu và người thân"


def emergency(**changes: Any) -> dict[str, Any]:
    """The hospital asks who the unconscious woman is."""
    changed = {"purpose": "health.emergency-treatment", "fields": ["sex"], "break_glass": WHY}
    return asked(**changed | changes)


def investigation(**changes: Any) -> dict[str, Any]:
    """The police ask for her address in a case."""
    return asked(**{"purpose": "investigation.criminal"} | changes)


def answered(document: dict[str, Any], agency: AgencyId) -> tuple[Reply, Record]:
    """Reply and record of one look-up."""
    outcome, records = samples.answered(samples.lookup(document, agency=agency))
    return outcome.replies[0], records[0]


def test_emergency_is_answered_without_consent_and_owes_a_review_when_a_reason_is_given() -> None:
    reply, record = answered(emergency(), HOSPITAL)
    assert reply.result is not None
    assert (record.kind, record.decision) == (RecordKind.ACCESS_DECISION, Outcome.BREAKGLASS)
    assert record.obligations == ("review-within-24h",)
    assert record.basis == "law.urgent-protection"
    assert record.req is not None
    assert record.req.case is not None


def test_reason_is_sealed_and_stands_nowhere_else_when_the_glass_is_broken() -> None:
    pages = FakePages()
    recorder = samples.recorder(pages)
    samples.answer_batch(
        [samples.lookup(emergency(), agency=HOSPITAL)], samples.bench(), recorder=recorder
    )
    [page] = pages.pages
    record = Record.decode(page.records[0])
    _, secret = samples.opened(page.sealed[0], record)
    assert secret["break_glass"] == WHY
    assert WHY.encode() not in page.encode()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"break_glass": None}, Reason.BREAK_GLASS_ONLY),
        ({"fields": ["sex", "permanent_address"]}, Reason.FIELD_NOT_IN_AGREEMENT),
        ({"full_name": "Trần Văn Bình"}, Reason.IDENTITY_MISMATCH),
        ({"purpose": "statistics.births"}, Reason.PURPOSE_MISMATCH),
    ],
)
def test_emergency_is_refused_when_it_goes_beyond_its_agreement(
    changes: dict[str, Any], reason: Reason
) -> None:
    reply, record = answered(emergency(**changes), HOSPITAL)
    assert reply.result is None
    assert (record.decision, record.reason, record.obligations) == (Outcome.DENY, reason, ())


def test_emergency_is_refused_when_the_agreement_is_not_for_emergencies() -> None:
    _, record = answered(asked(break_glass=WHY), samples.VSS)
    assert record.reason is Reason.NOT_BREAK_GLASS


def test_national_rule_wins_when_the_glass_is_broken() -> None:
    """The rule about minors, with the purpose taken out of those that the law names for them."""
    policy = samples.policy()
    purpose = replace(policy.purposes["health.emergency-treatment"], groups=())
    strict = compile_reads(replace(policy, purposes=dict(policy.purposes) | {purpose.id: purpose}))
    born = samples.AT.date().replace(year=samples.AT.year - 9)
    bench = samples.bench(view=samples.FakeView({samples.LAN: samples.person(date_of_birth=born)}))
    states = samples.FakeStates(strict)
    document = emergency(date_of_birth=born.isoformat())
    _, records = samples.answered(
        samples.lookup(document, agency=HOSPITAL), on=replace(bench, states=states)
    )
    assert [(r.decision, r.reason) for r in records] == [(Outcome.DENY, Reason.FORBIDDEN_BY_RULE)]


@pytest.mark.parametrize("text", ["", " ", 7, "x" * 257, "a\nb"])
def test_request_is_malformed_when_the_reason_is_none(text: Any) -> None:
    answer = Office().look_up(emergency() | {"break_glass": text})
    assert (answer.status_code, answer.json()["member"]) == (400, "break_glass")


def test_emergency_is_flagged_at_once_when_it_is_recorded() -> None:
    def counted() -> float:
        labels = {"agency": HOSPITAL}
        return REGISTRY.get_sample_value("civicbus_break_glass_total", labels) or 0.0

    office, before = Office(), counted()
    with capture_logs() as logs:
        answer = office.look_up(emergency(), agency=HOSPITAL)
    assert answer.status_code == 200
    assert counted() == before + 1
    [flag] = [line for line in logs if line["event"] == "the glass was broken"]
    assert flag["record"] == office.records[0].id
    assert WHY not in json.dumps(logs, default=str)


def test_investigation_is_a_leaf_of_its_own_kind_when_it_is_answered_or_refused() -> None:
    reply, record = answered(investigation(), POLICE)
    assert reply.result is not None
    assert (record.kind, record.decision) == (RecordKind.ACCESS_DEFERRED, Outcome.PERMIT)
    assert record.obligations == ("hidden-until-case-closed",)
    _, refused = answered(investigation(fields=["religion"]), POLICE)
    assert (refused.kind, refused.decision) == (RecordKind.ACCESS_DEFERRED, Outcome.DENY)
