"""Laws of look-ups: nothing is granted that agreement, consent and person do not allow, and no
body, token or refusal makes more of a stranger than a refusal.
"""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from typing import Any

from civicbus_consumers.lookup.matching import cut, same_value
from civicbus_consumers.lookup.plan import VIEW
from civicbus_consumers.lookup.problems import Problem, document, preferred_language
from civicbus_consumers.lookup.replies import outward
from civicbus_consumers.lookup.request import LookupRequest, parse_request
from civicbus_consumers.lookup.rules import Grant, judge
from civicbus_consumers.lookup.token import Keyring
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.vocabulary import ConsentRule, ConsentStatus
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import lookup_samples as samples

FIELDS = sorted(samples.policy().contracts[VIEW].fields)
RECIPIENTS = sorted(samples.policy().agencies)
PURPOSES = sorted(samples.policy().purposes)
KEYRING = Keyring({samples.BANK: samples.SIGNER.public_key().public_bytes_raw()})

consents = st.lists(
    st.builds(
        samples.consent,
        fields=st.frozensets(st.sampled_from([f"{VIEW}:{path}" for path in FIELDS])),
        recipient=st.sampled_from([samples.BANK, samples.VSS]),
        purpose=st.sampled_from([samples.CREDIT, "account.update-customer"]),
        status=st.sampled_from(ConsentStatus),
        valid_until=st.sampled_from([None, samples.AT]),
    ),
    max_size=3,
).map(lambda given: SubjectConsents(tuple(given)))

paths = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4, unique=True)


def _documents(fields: list[str], mode: str, **changes: Any) -> dict[str, Any]:
    wanted = {"fields": fields} if mode == "read" else {"claims": dict.fromkeys(fields)}
    return samples.asked(fields=None, mode=mode, **changes) | wanted


@given(
    fields=paths,
    mode=st.sampled_from(["read", "verify"]),
    purpose=st.sampled_from(PURPOSES),
    recipient=st.sampled_from(RECIPIENTS),
    consents=consents,
    name=st.sampled_from([samples.NAME, "Trần Văn Bình"]),
    known=st.booleans(),
)
def test_only_what_was_agreed_and_consented_is_granted_when_anything_is_asked(
    fields: list[str],
    mode: str,
    purpose: str,
    recipient: Any,
    consents: SubjectConsents,
    name: str,
    known: bool,
) -> None:
    request = samples.request(_documents(fields, mode, purpose=purpose, full_name=name))
    person = samples.person() if known else None
    verdict = judge(
        request,
        samples.plan(),
        recipient=recipient,
        consents=consents,
        person=person,
        at=samples.AT,
    )
    if not isinstance(verdict, Grant):
        return
    agreement = verdict.agreement
    reads = agreement.reads[VIEW]
    assert person is not None
    assert name == samples.NAME
    assert (agreement.recipient, agreement.purpose) == (recipient, purpose)
    assert set(fields) <= (reads.read if mode == "read" else reads.verify)
    if agreement.consent is ConsentRule.REQUIRED:
        assert verdict.consent in consents.consents
        assert {f"{VIEW}:{path}" for path in fields} <= verdict.consent.fields
    answer = cut(request, person)
    assert set(answer) == set(fields)
    assert mode == "read" or all(type(value) is bool for value in answer.values())


@given(
    fields=paths,
    recipient=st.sampled_from(RECIPIENTS),
    purpose=st.sampled_from(PURPOSES),
    consents=consents,
)
def test_refusal_is_the_same_when_the_person_is_unknown_or_another(
    fields: list[str], recipient: Any, purpose: str, consents: SubjectConsents
) -> None:
    request = samples.request(
        _documents(fields, "verify", purpose=purpose, full_name="Trần Văn Bình")
    )

    def code(person: Any) -> Any:
        return outward(
            judge(
                request,
                samples.plan(),
                recipient=recipient,
                consents=consents,
                person=person,
                at=samples.AT,
            )
        )

    assert code(None) == code(samples.person())


@given(st.binary(max_size=512) | st.text(max_size=512).map(lambda text: text.encode()))
def test_body_is_read_or_refused_when_it_is_anything(body: bytes) -> None:
    with suppress(Problem):
        assert isinstance(parse_request(body), LookupRequest)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(member=st.sampled_from(sorted(samples.asked())), value=_json)
def test_request_is_read_or_refused_when_a_member_is_anything(member: str, value: Any) -> None:
    try:
        read = parse_request(json.dumps(samples.asked() | {member: value}).encode())
    except Problem as problem:
        told = document(problem, "en").decode()
        assert not (isinstance(value, str) and len(value) > 12 and value in told)
    else:
        assert read.pin == samples.LAN or member == "pin"


@given(st.text(max_size=200).map(lambda text: f"Bearer {text}") | st.text(max_size=200))
def test_token_is_refused_when_it_is_anything(authorization: str) -> None:
    try:
        KEYRING.verify(authorization, now=1_795_300_000)
    except Problem:
        return
    raise AssertionError("a token that nobody signed was accepted")


@given(st.text(max_size=300))
def test_language_is_one_of_ours_when_the_header_is_anything(accepted: str) -> None:
    assert preferred_language(accepted) in {"vi", "en"}


@given(st.text(max_size=40))
def test_name_is_the_same_when_case_composition_and_spaces_differ(name: str) -> None:
    for form in ("NFC", "NFD"):
        assert same_value(unicodedata.normalize(form, f"  {name} "), name)
