"""Notices: who is told that something was withheld, what it is told, and what it never is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.access.plan import PlannedRelease, compile_plan
from civicbus_consumers.access.withheld import TOLD_FOR, reason_to_tell
from civicbus_consumers.enforcement.deliveries import NOTICE
from civicbus_consumers.enforcement.handler import release_batch
from civicbus_deploy.agreements.changes import sights
from civicbus_deploy.provisioning.desired import desired_state
from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import Consent, SubjectConsents, Uses
from civicbus_schemas.decision import Deny
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import InvalidAgreement, InvalidContract
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import Page
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.pseudonym import delivery_id
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, Reason
from civicbus_schemas.withheld import Notice, WithheldReason

from tests.fakes.enforcement import FakePageLog, FakeReleases, FakeStates, Journal, ready
from tests.unit import enforcement_samples as enforcement
from tests.unit import schemas_samples as samples

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
LAPSES = {
    "withdrawn": {"status": ConsentStatus.WITHDRAWN},
    "paused": {"status": ConsentStatus.PAUSED},
    "expired": {"valid_until": NOW - timedelta(days=1)},
    "to be erased": {"erase_at": NOW - timedelta(days=1)},
}


def planned(recipient: str, *, withheld: str = "notify") -> PlannedRelease:
    """The sample release to the bank (on consent) or to vss (by law)."""
    plan = compile_plan(enforcement.policy(withheld=withheld), pairwise_key_of=lambda _: b"k" * 32)
    [type_] = plan.types.values()
    return next(r for r in type_.releases if r.agreement.recipient == recipient)


def told(
    recipient: str, reason: Reason, *consents: Consent, at: datetime = NOW, **changes: Any
) -> WithheldReason | None:
    release = planned(recipient, **changes)
    consent = consents[-1] if consents and reason.startswith("consent") else None
    denied = Deny(agreement=release.agreement.ref, reason=reason, consent=consent)
    return reason_to_tell(release, denied, SubjectConsents(consents), at=at)


def lapsed(how: str, **changes: Any) -> Consent:
    return enforcement.consent(**{"since": NOW - timedelta(days=1)} | LAPSES[how] | changes)


def why(consent: Consent) -> Reason:
    reason = consent.lapse(enforcement.BANK_FIELDS, NOW)
    assert reason is not None
    return reason


# --- who is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", LAPSES)
def test_the_recipient_is_told_when_a_consent_that_covered_it_has_lapsed(how: str) -> None:
    consent = lapsed(how)
    assert told("bank", why(consent), consent) is WithheldReason.CONSENT_CHANGED


@pytest.mark.parametrize("how", LAPSES)
def test_nobody_is_told_when_the_agreement_does_not_ask_for_it(how: str) -> None:
    consent = lapsed(how)
    assert told("bank", why(consent), consent, withheld="silent") is None


@pytest.mark.parametrize("how", LAPSES)
def test_the_recipient_is_not_told_when_the_consent_never_covered_the_release(how: str) -> None:
    consent = lapsed(how, fields=frozenset({f"{samples.BIRTH}:child.pin"}))
    assert told("bank", why(consent), consent) is None


@pytest.mark.parametrize("days", [29, 31])
def test_the_recipient_is_told_for_a_while_only_when_a_consent_has_lapsed(days: int) -> None:
    consent = lapsed("withdrawn", since=NOW - timedelta(days=days))
    expected = WithheldReason.CONSENT_CHANGED if timedelta(days=days) <= TOLD_FOR else None
    assert told("bank", Reason.CONSENT_WITHDRAWN, consent) is expected


def test_the_recipient_is_told_when_all_uses_are_spent() -> None:
    consent = enforcement.consent(uses=Uses(count=1))
    assert told("bank", Reason.CONSENT_USED_UP, consent) is WithheldReason.CONSENT_CHANGED


@pytest.mark.parametrize("recipient", ["bank", "vss"])
@pytest.mark.parametrize(
    "reason",
    [
        Reason.NO_CONSENT,
        Reason.CONSENT_TOO_NARROW,
        Reason.CONDITION_NOT_MET,
        Reason.NOT_YET_IN_FORCE,
    ],
)
def test_nobody_is_told_when_the_recipient_never_was_to_know(
    recipient: str, reason: Reason
) -> None:
    assert told(recipient, reason, enforcement.consent()) is None


ENDED = datetime(2029, 1, 1, 5, tzinfo=UTC)  # both sample agreements end with 2028


def test_the_recipient_is_told_when_an_agreement_by_law_has_ended_lately() -> None:
    assert told("vss", Reason.EXPIRED, at=ENDED) is WithheldReason.AGREEMENT_ENDED
    assert told("vss", Reason.EXPIRED, at=ENDED + timedelta(days=40)) is None


def test_only_who_holds_a_consent_is_told_when_an_agreement_on_consent_has_ended() -> None:
    given, gone = enforcement.consent(), lapsed("withdrawn")
    assert told("bank", Reason.EXPIRED, given, at=ENDED) is WithheldReason.AGREEMENT_ENDED
    assert told("bank", Reason.EXPIRED, gone, at=ENDED) is None
    assert told("bank", Reason.EXPIRED, at=ENDED) is None


@pytest.mark.parametrize(
    ("reason", "tells"),
    [
        (Reason.AGREEMENT_SUSPENDED, WithheldReason.AGREEMENT_SUSPENDED),
        (Reason.AGREEMENT_REVOKED, WithheldReason.AGREEMENT_ENDED),
    ],
)
def test_the_recipient_is_told_when_a_party_has_stopped_the_agreement(
    reason: Reason, tells: WithheldReason
) -> None:
    assert told("vss", reason) is tells
    assert told("bank", reason, enforcement.consent()) is tells
    assert told("bank", reason) is None
    assert told("vss", reason, at=ENDED + timedelta(days=40)) is None
    assert told("vss", reason, at=datetime(2025, 12, 1, tzinfo=UTC)) is None


def test_only_who_holds_a_consent_is_told_when_a_rule_forbids() -> None:
    """Rules that are open when a set is loaded are about age, so a notice could tell an age."""
    assert told("bank", Reason.FORBIDDEN_BY_RULE, enforcement.consent()) is WithheldReason.RULE
    assert told("bank", Reason.FORBIDDEN_BY_RULE) is None
    assert told("bank", Reason.FORBIDDEN_BY_RULE, lapsed("paused")) is None
    assert told("vss", Reason.FORBIDDEN_BY_RULE) is None


# --- how it leaves -------------------------------------------------------------------------------


def released(*given: Consent) -> tuple[Journal, Page, FakeReleases]:
    """A birth that goes to vss, and to the bank as far as these consents allow."""
    policy = enforcement.policy(withheld="notify")
    states = FakeStates(ready(policy), enforcement.consents(*given))
    bench, journal, log, releases = enforcement.bench(states=states)
    release_batch([enforcement.taken()], bench)
    return journal, page_of(log), releases


def page_of(log: FakePageLog) -> Page:
    [page] = log.pages
    return page


def withdrawn() -> Consent:
    return enforcement.consent(status=ConsentStatus.WITHDRAWN, since=datetime.now(UTC))


def test_the_notice_is_produced_after_the_page_that_records_it_when_it_is_told() -> None:
    """I1: a notice is a disclosure too, and names the record of the denial."""
    journal, page, releases = released(withdrawn())
    topics = ["produce dlv.vss.civil-status.v1", "produce dlv.bank.civil-status.v1"]
    assert journal.lines == ["page", "begin", *topics, "offsets", "commit"]
    records = [Record.decode(leaf) for leaf in page.records]
    [denied] = [record for record in records if record.decision is Outcome.DENY]
    assert (denied.reason, denied.obligations) == (Reason.CONSENT_WITHDRAWN, (NOTICE,))
    assert (denied.rows, denied.payload_hash) == (0, None)
    assert not [r for r in records if r.obligations and r.decision is Outcome.PERMIT]
    envelope = parse_headers(releases.produced[1].headers)
    assert envelope.ground is not None
    assert envelope.ground.record_id == denied.id


def test_the_notice_holds_nothing_of_the_event_when_it_is_told() -> None:
    _, _, releases = released(withdrawn())
    message = releases.produced[1]
    _, body = unframe(message.value)
    assert Notice.decode(body) == Notice(
        event_type=samples.BIRTH, reason=WithheldReason.CONSENT_CHANGED
    )
    envelope, event = parse_headers(message.headers), enforcement.taken()
    assert envelope.type == "civil-status.Withheld"
    assert envelope.time != samples.AT, "the time is the decision's, not the fact's"
    assert envelope.id not in {"event-0-0", delivery_id(_bank(), "event-0-0", _ref())}  # type: ignore[arg-type]
    raw = b"".join([message.key or b"", message.value or b"", *(v for _, v in message.headers)])
    for value in (enforcement.CHILD.number, "Nguyễn Minh Anh", "2026-11-20", "001190000001"):
        assert value.encode() not in raw
    assert (event.key or b"-") not in raw, "the bus's own pseudonym must not leave"
    assert message.partition == event.at.partition


def _bank() -> bytes:
    return enforcement.pairwise_of(AgencyId("bank")).key


def _ref() -> Any:
    return planned("bank").agreement.ref


def test_notice_and_delivery_have_the_same_key_when_they_are_about_one_person() -> None:
    _, _, denied = released(withdrawn())
    _, _, given = released(enforcement.consent())
    assert denied.produced[1].key == given.produced[1].key
    assert denied.produced[0].key != denied.produced[1].key, "each recipient has its own"


def test_there_is_silence_when_nobody_ever_consented() -> None:
    _, page, releases = released()
    assert [m.topic for m in releases.produced] == ["dlv.vss.civil-status.v1"]
    assert not any(Record.decode(leaf).obligations for leaf in page.records)


# --- what an agreement may ask -------------------------------------------------------------------

Spoil = Callable[[dict[str, Any]], Any]


def spoilt(spoil: Spoil) -> bytes:
    document = samples.policy()
    document["agreements"] = [samples.agreement() | {"withheld": "notify"}]
    spoil(document)
    return samples.policy_bytes(document)


def _with_ethnicity(document: dict[str, Any]) -> None:
    release = document["agreements"][0]["releases"][samples.BIRTH]
    release["fields"].append({"child.ethnicity": "exists"})


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (_with_ethnicity, "child.ethnicity"),
        (lambda d: d["agencies"]["vss"].update(keeps=["population"]), "keeps a view"),
        (lambda d: d["agreements"][0].update(withheld="loudly"), "withheld"),
        (lambda d: d["agreements"][0].update(withheld=True), "withheld"),
        (lambda d: d["agreements"].append(samples.consented() | {"withheld": "notify"}),
         "releases that can be withheld"),
    ],
)  # fmt: skip
def test_a_set_is_refused_when_a_notice_would_tell_too_much_or_nothing(
    spoil: Spoil, match: str
) -> None:
    parse_policy_set(spoilt(dict))
    with pytest.raises(InvalidAgreement, match=match):
        parse_policy_set(spoilt(spoil))


def test_a_contract_is_refused_when_it_takes_the_name_of_notices() -> None:
    with pytest.raises(InvalidContract, match="type of notices"):
        parse_policy_set(
            spoilt(lambda d: d["contracts"].update({"civil-status.Withheld": _named()}))
        )


def _named() -> dict[str, Any]:
    return samples.birth() | {"name": "Withheld"}


def test_a_reviewer_is_told_when_the_recipient_will_be() -> None:
    policy = parse_policy_set(spoilt(dict))
    texts = {str(t) for terms in sights(policy).values() for t in terms}
    assert texts
    assert all("told when withheld" in text for text in texts)


def test_the_schema_of_notices_is_registered_where_an_agreement_asks_for_them() -> None:
    def subjects(withheld: str) -> set[str]:
        document = samples.policy()
        document["agreements"] = [samples.agreement() | {"withheld": withheld}]
        policy = parse_policy_set(samples.policy_bytes(document))
        return {subject.name for subject in desired_state(policy, brokers=1).subjects}

    assert subjects("notify") - subjects("silent") == {
        "dlv.vss.civil-status.v1-civicbus.delivery.Withheld"
    }
