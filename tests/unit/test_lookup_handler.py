"""Answering over fakes: what comes before what, what a fault leaves unsaid, what records tell."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from civicbus_audit.merkle import leaf_hash
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.handler import Unanswered, answer_batch
from civicbus_consumers.lookup.plan import VIEW
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_schemas.errors import InvalidBytes, Stopped, Unavailable
from civicbus_schemas.page import HeaderLeaf
from civicbus_schemas.record import Record, commitment
from civicbus_schemas.subject import officer, person
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.fakes.lookup import FakePages, FakeView
from tests.fakes.vault import secret_of
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import BANK, MOJ, VSS, asked, lookup, verifying


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_answered_when_the_page_is_not_acknowledged(fault: str) -> None:
    pages = FakePages(fails=fault == "fails", lies=fault == "lies")
    with pytest.raises(Unanswered) as caught:
        answer_batch([lookup()], samples.bench(), recorder=samples.recorder(pages))
    assert caught.value.code is Code.CANNOT_RECORD
    assert len(pages.pages) == (fault == "lies")


def test_nothing_is_read_when_the_fuse_is_blown() -> None:
    pages = FakePages(blown=True)
    with pytest.raises(Unanswered) as caught:
        answer_batch(
            [lookup()],
            samples.bench(view=FakeView(fails=True)),
            recorder=samples.recorder(pages),
        )
    assert (caught.value.code, pages.pages) == (Code.CANNOT_RECORD, [])


@pytest.mark.parametrize("error", [Unavailable("no broker"), InvalidBytes("unreadable")])
def test_nothing_is_recorded_when_the_state_is_not_known(error: Exception) -> None:
    bench, pages = samples.bench(), FakePages()
    bench.states.raises = error  # type: ignore[attr-defined]
    with pytest.raises(Unanswered) as caught:
        answer_batch([lookup()], bench, recorder=samples.recorder(pages))
    assert caught.value.code is Code.CANNOT_DECIDE
    assert pages.pages == []


def test_process_ends_when_the_state_may_not_be_decided_on() -> None:
    bench = samples.bench()
    bench.states.raises = Stopped("no policy")  # type: ignore[attr-defined]
    with pytest.raises(Stopped):
        answer_batch([lookup()], bench, recorder=samples.recorder(FakePages()))


def test_nothing_is_recorded_when_the_view_does_not_answer() -> None:
    pages = FakePages()
    with pytest.raises(Unanswered) as caught:
        answer_batch(
            [lookup()],
            samples.bench(view=FakeView(fails=True)),
            recorder=samples.recorder(pages),
        )
    assert caught.value.code is Code.VIEW_UNAVAILABLE
    assert pages.pages == []


def test_record_tells_who_got_what_about_whom_and_why_when_a_lookup_is_granted() -> None:
    outcome, [record] = samples.answered(lookup())
    [reply] = outcome.replies
    assert (record.kind, record.decision) == (RecordKind.ACCESS_DECISION, Outcome.PERMIT)
    assert (record.actor.agency, record.actor.system, record.recipient) == (VSS, "lookup", VSS)
    assert record.actor.officer == secret_of(officer(VSS, samples.OFFICER)).pseudonym
    assert record.subject == secret_of(person(samples.LAN)).pseudonym
    assert (record.dataset, record.fields, record.rows) == (VIEW, ("permanent_address",), 1)
    assert (str(record.agreement), record.basis) == ("vss.population@1", "law.state-management")
    assert (record.purpose, record.consent) == ("health-insurance.enrol-child", None)
    assert record.policy == samples.plan().policy
    assert (record.positions.consent, record.positions.view) == (10, 41)
    assert record.req is not None
    assert record.req.jti == "5a" * 16
    assert reply.result is not None
    assert json.loads(reply.result) == {
        "mode": "read",
        "fields": {"permanent_address": samples.ADDRESS},
    }
    assert record.size_bytes == len(reply.result)


def test_receipt_names_the_leaf_when_a_lookup_is_answered() -> None:
    pages = FakePages()
    outcome = answer_batch([lookup()], samples.bench(), recorder=samples.recorder(pages))
    [leaf] = pages.pages[0].records
    receipt = outcome.replies[0].receipt
    assert receipt is not None
    assert receipt.record_id == Record.decode(leaf).id
    assert receipt.leaf_hash == leaf_hash(leaf).hex()
    assert receipt.policy == samples.plan().policy


def test_sealed_part_opens_the_commitments_when_it_is_unsealed() -> None:
    pages = FakePages()
    recorder = samples.recorder(pages)
    reply = answer_batch([lookup()], samples.bench(), recorder=recorder).replies[0]
    record = Record.decode(pages.pages[0].records[0])
    salt, secret = samples.opened(pages.pages[0].sealed[0], record)
    assert secret["officer"] == samples.OFFICER
    assert secret["case"] == samples.CASE
    assert secret["facts"]["asked"]["full_name"] == samples.NAME
    assert secret["facts"]["found"]["date_of_birth"] == samples.BORN.isoformat()
    assert reply.result is not None
    assert record.payload_hash == hashlib.sha256(salt + reply.result).hexdigest()
    plaintext = json.dumps(secret, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record.sealed == commitment(salt, plaintext.encode())


@pytest.mark.parametrize(
    ("document", "agency", "reason", "code"),
    [
        (asked(purpose="statistics.births"), VSS, Reason.PURPOSE_MISMATCH, None),
        (asked(), BANK, Reason.PURPOSE_MISMATCH, None),
        (asked(fields=["religion"]), VSS, Reason.FIELD_NOT_IN_AGREEMENT, None),
        (verifying(), BANK, Reason.NO_CONSENT, None),
        (asked(full_name="Trần Văn Bình"), VSS, Reason.IDENTITY_MISMATCH, Code.NO_MATCH),
        (asked(pin=samples.NOBODY.number), VSS, Reason.SUBJECT_NOT_FOUND, Code.NO_MATCH),
    ],
)
def test_refusal_is_recorded_with_its_rule_when_a_lookup_is_refused(
    document: dict[str, Any], agency: Any, reason: Reason, code: Code | None
) -> None:
    outcome, [record] = samples.answered(lookup(document, agency=agency))
    [reply] = outcome.replies
    assert (record.decision, record.reason) == (Outcome.DENY, reason)
    assert (record.rows, record.size_bytes, record.payload_hash) == (0, 0, None)
    assert record.actor.agency == agency
    assert (reply.result, reply.code) == (None, code or reason)
    assert reply.receipt is not None
    assert reply.receipt.record_id == record.id


def test_record_names_the_consent_when_one_was_needed() -> None:
    bench = samples.bench(samples.consent())
    outcome, [record] = samples.answered(lookup(verifying(), agency=BANK), on=bench)
    assert record.consent == str(samples.consent())
    assert outcome.replies[0].result == b'{"fields":{"full_name":true},"mode":"verify"}'


def test_fields_that_the_view_lacks_stay_out_of_the_record_when_they_are_asked_for() -> None:
    document = asked(fields=["religion", "nguyen_thi_lan"])
    _, [record] = samples.answered(lookup(document))
    assert record.fields == ("religion",)


def test_everybody_gets_a_record_when_an_answer_is_about_several_people() -> None:
    document = asked(purpose="criminal-record.certify", fields=["full_name", "mother_pin"])
    pages = FakePages()
    recorder = samples.recorder(pages)
    outcome = answer_batch([lookup(document, agency=MOJ)], samples.bench(), recorder=recorder)
    records = [Record.decode(leaf) for leaf in pages.pages[0].records]
    assert [(r.subject, r.fields) for r in records] == [
        (secret_of(person(samples.LAN)).pseudonym, ("full_name",)),
        (secret_of(person(samples.MOTHER)).pseudonym, ("mother_pin",)),
    ]
    receipt = outcome.replies[0].receipt
    assert receipt is not None
    assert [id_ for id_, _ in receipt.others] == [records[1].id]
    _, about_mother = samples.opened(pages.pages[0].sealed[1], records[1])
    assert about_mother == {"officer": samples.OFFICER, "case": samples.CASE}


def test_all_that_waits_goes_into_one_page_when_it_is_answered_together() -> None:
    pages, bench = FakePages(), samples.bench()
    lookups = [lookup(), lookup(verifying(), agency=BANK), lookup(asked(fields=["religion"]))]
    outcome = answer_batch(lookups, bench, recorder=samples.recorder(pages))
    [page] = pages.pages
    codes = [reply.code for reply in outcome.replies]
    assert codes == [None, Reason.NO_CONSENT, Reason.FIELD_NOT_IN_AGREEMENT]
    header = HeaderLeaf.decode(page.header).header
    assert (header.records, header.positions) == (3, outcome.positions)
    assert header.policy == samples.plan().policy
    assert bench.states.caught_up == 1  # type: ignore[attr-defined]


def test_others_are_answered_when_one_record_of_the_batch_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("civicbus_schemas.record.MAX_RECORD_BYTES", 420)
    wide = asked(fields=["full_name", "date_of_birth", "sex", "permanent_commune_code"])
    outcome, records = samples.answered(lookup(wide), lookup(asked(fields=["sex"])))
    assert [reply.code for reply in outcome.replies] == [Code.TOO_LARGE, None]
    assert [record.fields for record in records] == [("sex",)]
    assert (outcome.replies[0].result, outcome.replies[0].receipt) == (None, None)


def test_no_personal_value_is_in_clear_when_pages_and_replies_are_looked_through() -> None:
    pages = FakePages()
    lookups = [lookup(), lookup(verifying(), agency=BANK), lookup(asked(full_name="Ai Đó"))]
    answer_batch(lookups, samples.bench(), recorder=samples.recorder(pages))
    seen = pages.pages[0].encode() + repr(lookups).encode()
    for value in (*samples.PERSONAL, "Ai Đó"):
        assert value.encode() not in seen


def test_partition_is_kafkas_when_a_key_is_hashed() -> None:
    # murmur2 of Kafka's own UtilsTest: "21" -> -973932308, "foobar" -> -790332482
    assert partition_of(b"21") == (-973932308 & 0x7FFFFFFF) % 12
    assert partition_of(b"foobar") == (-790332482 & 0x7FFFFFFF) % 12
