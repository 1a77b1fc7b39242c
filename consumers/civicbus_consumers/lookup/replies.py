"""What one look-up comes to: verdict, records and, once these are durable, its answer.

Nothing here leaves the process: `handler.answer_batch` lets a reply out after the acknowledgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from civicbus_audit.merkle import leaf_hash
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import TooLarge
from civicbus_schemas.ids import Pin, PolicyVersion, RecordId
from civicbus_schemas.page import Position
from civicbus_schemas.record import Positions
from civicbus_schemas.subject import Secrets, Subject
from civicbus_schemas.subject import person as subject_of
from civicbus_schemas.vocabulary import Outcome, Reason

from civicbus_consumers.consent.uses import Use
from civicbus_consumers.lookup.bench import Bench, Lookup
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.matching import cut, people
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.records import (
    Ground,
    asking,
    ground_of,
    outcome_under,
    record_verdict,
)
from civicbus_consumers.lookup.request import LookupRequest
from civicbus_consumers.lookup.rules import Grant, Person, Refusal, Verdict, judge
from civicbus_consumers.lookup.states import offset_of
from civicbus_consumers.lookup.turnstile import Turnstile
from civicbus_consumers.lookup.uses import reserved_by
from civicbus_consumers.population.reading import Snapshot
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.runtime.partitioning import partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """By which a recipient later asks for a proof: the record's id and its RFC 6962 leaf hash.

    `others` are the records of further persons whose data the answer holds.
    """

    record_id: RecordId
    leaf_hash: str
    policy: PolicyVersion
    recorded_at: datetime
    others: tuple[tuple[RecordId, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What became of one look-up. `result` is set only where it was granted *and* recorded.

    `receipt` is None only where the look-up's own record was too large to be written.
    """

    verdict: Verdict
    code: Code | Reason | None
    result: bytes | None
    receipt: Receipt | None

    @property
    def outcome(self) -> Outcome:
        """As its record says."""
        if isinstance(self.verdict, Refusal):
            return Outcome.DENY
        return outcome_under(self.verdict.agreement.access)


def subjects_of(lookup: Lookup, plan: ReadPlan, seen: Snapshot) -> Iterator[Subject]:
    """Everybody and everything that its records may name."""
    request = replace(lookup.request, fields=plan.known_fields(lookup.request.fields))
    yield from asking(lookup.token, request)
    yield subject_of(request.pin)
    person = seen.persons.get(request.pin)
    if person is not None and plan.contract is not None:
        yield from (subject_of(pin) for pin, _ in people(request, plan.contract, person))


def make_reply(
    lookup: Lookup,
    bench: Bench,
    page: PageBuilder,
    *,
    seen: Snapshot,
    secrets: Secrets,
    at: tuple[Position, ...],
    turnstile: Turnstile,
    granted: frozenset[Use] = frozenset(),
) -> Reply:
    """Decide one look-up, cut its answer and add its records to the page; nothing leaves yet.

    `seen` is what the view knew of all persons of the batch, `secrets` are those of all that its
    records may name, `at` are the state positions that the consents were read at, `granted` the
    uses of counted consents that are reserved; `turnstile` tells which limits are reached.
    """
    key = bench.key_of(lookup)
    plan, request = bench.states.plan, lookup.request
    person = seen.persons.get(request.pin)
    consents = bench.states.consents_of(key)
    reserved = reserved_by(lookup.token, granted)
    verdict = judge(
        request,
        plan,
        recipient=lookup.token.agency,
        consents=consents,
        person=person,
        at=page.at,
        has_use=lambda _, consent: consent.id in reserved,
        within=turnstile.of(lookup.token.jti, key),
    )
    result = _result(request, verdict, person)
    ground = ground_of(
        lookup.token,
        request,
        person=person,
        consents=consents,
        reserved=reserved,
        policy=plan.policy,
        positions=Positions(consent=offset_of(at, partition_of(key)), view=seen.watermark),
        trace=lookup.trace_id,
        secrets=secrets,
    )
    concerned = [(request.pin, plan.known_fields(request.fields))]
    if isinstance(verdict, Grant) and person is not None and plan.contract is not None:
        concerned = list(people(request, plan.contract, person))
    before = len(page.leaves)
    try:
        receipt = _record(
            page, ground, verdict, concerned=concerned, result=result, secrets=secrets
        )
    except TooLarge:
        page.forget_after(before)
        return Reply(verdict=verdict, code=Code.TOO_LARGE, result=None, receipt=None)
    return Reply(verdict=verdict, code=outward(verdict), result=result, receipt=receipt)


def _result(request: LookupRequest, verdict: Verdict, person: Person | None) -> bytes | None:
    """The answer's result, in the bytes that the record commits to."""
    if isinstance(verdict, Refusal) or person is None:
        return None
    return canonical_json({"mode": request.mode.value, "fields": cut(request, person)})


def _record(
    page: PageBuilder,
    ground: Ground,
    verdict: Verdict,
    *,
    concerned: Sequence[tuple[Pin, tuple[str, ...]]],
    result: bytes | None,
    secrets: Secrets,
) -> Receipt:
    """A record for each person whose data is disclosed or refused; the receipt of them."""
    made = []
    for index, (pin, fields) in enumerate(concerned):
        stamp, under = page.stamp(), secrets[subject_of(pin)]
        secret = ground.secret if index == 0 else ground.secret_of_others
        record = record_verdict(
            ground,
            verdict,
            under=under,
            fields=fields,
            result=result,
            secret=secret,
            stamp=stamp,
        )
        leaf = page.add(record, stamp=stamp, secret=secret, under=under)
        made.append((stamp.id, leaf_hash(leaf).hex()))
    (id_, hash_), *others = made
    return Receipt(
        record_id=id_,
        leaf_hash=hash_,
        policy=ground.policy,
        recorded_at=page.at,
        others=tuple(others),
    )


def outward(verdict: Verdict) -> Code | Reason | None:
    """The code that the agency sees: whether a number exists is not for it to learn."""
    match verdict:
        case Grant():
            return None
        case Refusal(reason=Reason.SUBJECT_NOT_FOUND | Reason.IDENTITY_MISMATCH):
            return Code.NO_MATCH
        case Refusal(reason=reason):
            return reason
