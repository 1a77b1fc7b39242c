"""The rules one by one, and their order; `test_lookup_properties` has the laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.lookup.matching import cut, identifies, people, same_value
from civicbus_consumers.lookup.plan import VIEW, ReadPlan, compile_reads
from civicbus_consumers.lookup.replies import outward
from civicbus_consumers.lookup.rules import Grant, Refusal, Verdict, judge
from civicbus_consumers.population.reading import PersonRow
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.consent import Consent, SubjectConsents, Uses
from civicbus_schemas.ids import AgencyId, AgreementRef
from civicbus_schemas.vocabulary import ConsentStatus, Reason

from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import AT, BANK, CREDIT, MOJ, VSS, asked, verifying


def _judged(
    document: dict[str, Any],
    *,
    recipient: AgencyId = VSS,
    consents: tuple[Consent, ...] = (),
    person: PersonRow | None = None,
    unknown: bool = False,
    plan: ReadPlan | None = None,
    at: datetime = AT,
) -> Verdict:
    return judge(
        samples.request(document),
        plan or samples.plan(),
        recipient=recipient,
        consents=SubjectConsents(consents),
        person=None if unknown else person or samples.person(),
        at=at,
    )


def _reason(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Refusal)
    return verdict.reason


def _agreement(purpose: str = "health-insurance.enrol-child", **changes: Any) -> Agreement:
    [found] = samples.plan().agreements[VSS, purpose]
    return replace(found, **changes)


def _plan(*agreements: Agreement) -> ReadPlan:
    return compile_reads(replace(samples.policy(), agreements=agreements))


def test_lookup_is_granted_when_an_agreement_by_law_names_its_fields() -> None:
    verdict = _judged(asked())
    assert isinstance(verdict, Grant)
    assert (verdict.agreement.ref.id, verdict.consent) == ("vss.population", None)


def test_lookup_is_refused_when_the_agency_has_no_agreement() -> None:
    assert _reason(_judged(asked(), recipient=AgencyId("moh"))) is Reason.NO_AGREEMENT


def test_lookup_is_refused_when_the_purpose_is_another_one() -> None:
    assert _reason(_judged(asked(purpose=CREDIT))) is Reason.PURPOSE_MISMATCH
    assert _reason(_judged(asked(purpose="statistics.births"))) is Reason.PURPOSE_MISMATCH


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2025, 12, 31, 16, 59, tzinfo=UTC), Reason.NOT_YET_IN_FORCE),
        (datetime(2034, 12, 31, 17, 0, tzinfo=UTC), Reason.EXPIRED),
    ],
)
def test_lookup_is_refused_when_its_day_is_outside_the_agreement(
    at: datetime, reason: Reason
) -> None:
    assert _reason(_judged(asked(), at=at)) is reason


def test_lookup_is_refused_whole_when_one_field_is_outside_the_agreement() -> None:
    verdict = _judged(asked(fields=["full_name", "religion", "nguyen_van_a", "ethnicity"]))
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.FIELD_NOT_IN_AGREEMENT
    assert verdict.fields == ("religion", "ethnicity")  # what is no field of the view is not told


def test_value_is_refused_when_the_agreement_only_lets_it_be_verified() -> None:
    consent = samples.consent("full_name")
    read = _judged(asked(purpose=CREDIT, fields=["full_name"]), recipient=BANK, consents=(consent,))
    assert _reason(read) is Reason.FIELD_NOT_IN_AGREEMENT
    verify = _judged(verifying(), recipient=BANK, consents=(consent,))
    assert isinstance(verify, Grant)
    assert verify.consent == consent


def test_claim_is_refused_when_the_agreement_only_lets_the_value_be_read() -> None:
    verdict = _judged(asked(mode="verify", fields=None, claims={"sex": "female"}))
    assert _reason(verdict) is Reason.FIELD_NOT_IN_AGREEMENT


@pytest.mark.parametrize(
    ("consents", "reason"),
    [
        ((), Reason.NO_CONSENT),
        ((samples.consent("sex"),), Reason.CONSENT_TOO_NARROW),
        ((samples.consent(status=ConsentStatus.WITHDRAWN),), Reason.CONSENT_WITHDRAWN),
        ((samples.consent(valid_until=AT),), Reason.CONSENT_EXPIRED),
        ((samples.consent(erase_at=AT),), Reason.CONSENT_EXPIRED),
        ((samples.consent(status=ConsentStatus.PAUSED),), Reason.CONSENT_PAUSED),
        ((samples.consent(uses=Uses(count=9)),), Reason.CONSENT_USED_UP),
        ((samples.consent(recipient=VSS),), Reason.NO_CONSENT),
        ((samples.consent(purpose="account.update-customer"),), Reason.NO_CONSENT),
    ],
)
def test_lookup_is_refused_when_consent_does_not_cover_it(
    consents: tuple[Consent, ...], reason: Reason
) -> None:
    assert _reason(_judged(verifying(), recipient=BANK, consents=consents)) is reason


def test_consent_does_not_cover_when_its_field_is_of_another_view() -> None:
    consent = samples.consent(fields=frozenset({"identity.PinIssued:full_name", "full_name"}))
    verdict = _judged(verifying(), recipient=BANK, consents=(consent,))
    assert _reason(verdict) is Reason.CONSENT_TOO_NARROW


def test_lookup_is_refused_when_the_person_is_another_or_nobody() -> None:
    assert _reason(_judged(asked(), unknown=True)) is Reason.SUBJECT_NOT_FOUND
    for change in ({"full_name": "Nguyễn Thị Lân"}, {"date_of_birth": "1990-04-06"}):
        assert _reason(_judged(asked(**change))) is Reason.IDENTITY_MISMATCH


@pytest.mark.parametrize("absent", ["full_name", "date_of_birth"])
def test_lookup_is_refused_when_the_view_cannot_tell_who_the_person_is(absent: str) -> None:
    verdict = _judged(asked(), person=samples.person(**{absent: None}))
    assert _reason(verdict) is Reason.IDENTITY_MISMATCH


def test_unknown_number_and_wrong_name_look_alike_when_seen_from_outside() -> None:
    unknown = _judged(asked(), unknown=True)
    other = _judged(asked(full_name="Trần Văn Bình"))
    assert _reason(unknown) is not _reason(other)
    assert outward(unknown) is outward(other)


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("name", [samples.NAME, "Trần Văn Bình"])
def test_refusal_tells_nothing_of_the_person_when_there_is_no_consent(
    name: str, unknown: bool
) -> None:
    document = verifying() | {"full_name": name}
    assert _reason(_judged(document, recipient=BANK, unknown=unknown)) is Reason.NO_CONSENT


def test_newer_version_decides_when_the_older_has_expired() -> None:
    older = _agreement(valid_until=date(2026, 6, 30))
    newer = _agreement(ref=AgreementRef("vss.population", 2), valid_from=date(2026, 7, 1))
    for agreements in [(older, newer), (newer, older)]:
        verdict = _judged(asked(), plan=_plan(*agreements))
        assert isinstance(verdict, Grant)
        assert verdict.agreement.ref.version == 2


def test_refusal_is_that_of_the_agreement_that_came_furthest_when_several_refuse() -> None:
    expired = _agreement(ref=AgreementRef("vss.a", 1), valid_until=date(2026, 1, 2))
    narrow = _agreement(ref=AgreementRef("vss.b", 1))
    for agreements in [(expired, narrow), (narrow, expired)]:
        verdict = _judged(asked(fields=["religion"]), plan=_plan(*agreements))
        assert _reason(verdict) is Reason.FIELD_NOT_IN_AGREEMENT
        assert verdict.agreement == narrow


def test_nothing_is_granted_when_the_policy_has_no_view() -> None:
    empty = compile_reads(replace(samples.policy(), agreements=(), contracts={}))
    assert _reason(_judged(asked(), plan=empty)) is Reason.NO_AGREEMENT
    assert empty.known_fields(("full_name",)) == ()


@pytest.mark.parametrize(
    ("claimed", "held", "same"),
    [
        ("nguyễn  thị lan", "Nguyễn Thị Lan", True),
        ("Nguye\u0302\u0303n Thi\u0323 Lan", "Nguyễn Thị Lan", True),
        ("NGUYỄN THỊ LAN ", "Nguyễn Thị Lan", True),
        ("Nguyen Thi Lan", "Nguyễn Thị Lan", False),
        ("1990-04-05", date(1990, 4, 5), True),
        ("05/04/1990", date(1990, 4, 5), False),
        (None, None, True),
        (None, "None", False),
        ("", None, False),
        ("None", None, False),
        (1, True, False),
        (1, "1", False),
        (True, True, True),
        (7, 7, True),
    ],
)
def test_claim_is_compared_as_the_register_means_it(claimed: Any, held: Any, same: bool) -> None:
    assert same_value(claimed, held) is same


def test_values_are_cut_to_the_fields_when_they_are_read() -> None:
    request = samples.request(asked(fields=["date_of_birth", "permanent_address", "religion"]))
    assert cut(request, samples.person()) == {
        "date_of_birth": "1990-04-05",
        "permanent_address": samples.ADDRESS,
        "religion": None,
    }


def test_claims_are_answered_with_truth_values_when_they_are_verified() -> None:
    claims = {"full_name": "nguyễn thị lan", "deceased_on": None, "marital_status": "married"}
    answer = cut(samples.request(verifying(**claims)), samples.person())
    assert answer == {"full_name": True, "deceased_on": True, "marital_status": False}


def test_everybody_is_named_when_an_answer_is_about_several_people() -> None:
    contract = samples.policy().contracts[VIEW]
    document = asked(purpose="criminal-record.certify", fields=["full_name", "mother_pin"])
    request = samples.request(document)
    assert isinstance(_judged(document, recipient=MOJ), Grant)
    named = list(people(request, contract, samples.person()))
    assert named == [(samples.LAN, ("full_name",)), (samples.MOTHER, ("mother_pin",))]
    alone = list(people(request, contract, samples.person(mother_pin=None)))
    assert alone == [(samples.LAN, ("full_name",))]


def test_identity_needs_all_of_it_when_a_person_is_compared() -> None:
    request = samples.request()
    assert identifies(request, samples.person())
    assert not identifies(request, None)
    assert not identifies(request, samples.person(date_of_birth=None))
    assert not identifies(request, samples.person(date_of_birth=samples.BORN + timedelta(days=1)))


def test_lookup_about_a_minor_is_refused_by_the_rule_when_all_else_would_grant_it() -> None:
    born = date(2012, 5, 6)
    minor = samples.person(date_of_birth=born)
    claims = verifying() | {"date_of_birth": born.isoformat()}
    consent = samples.consent("full_name")
    verdict = _judged(claims, recipient=BANK, consents=(consent,), person=minor)
    assert isinstance(verdict, Refusal)
    assert (verdict.reason, verdict.rule) == (
        Reason.FORBIDDEN_BY_RULE,
        "minors-for-named-purposes-only",
    )
    assert isinstance(_judged(asked(date_of_birth=born.isoformat()), person=minor), Grant)


def test_nobody_learns_of_a_minor_who_does_not_know_their_day_of_birth() -> None:
    minor, consent = samples.person(date_of_birth=date(2012, 5, 6)), samples.consent("full_name")
    verdict = _judged(verifying(), recipient=BANK, consents=(consent,), person=minor)
    assert _reason(verdict) is Reason.IDENTITY_MISMATCH
