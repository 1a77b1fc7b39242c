"""The plan against Cedar: 20,000 random requests over the whole policy set, and no difference.

What the plan decides by itself (validity, purpose, basis, fields, recipients, rules by age) is put
to Cedar as a fact; what the house computes (conditions, consent, age) is computed here anew.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

from civicbus_consumers.access.cedar import Asked
from civicbus_consumers.access.decide import is_minor, judge
from civicbus_consumers.access.permits import READ, RELEASE, VERIFY, whole_day
from civicbus_consumers.access.plan import PlannedRelease, PlannedType, compile_plan
from civicbus_consumers.access.rules import Authority
from civicbus_consumers.lookup import rules as lookup
from civicbus_consumers.lookup.plan import VIEW, compile_reads
from civicbus_consumers.lookup.request import Mode
from civicbus_schemas.agreement import NATION_ZONE, Agreement
from civicbus_schemas.consent import Consent, SubjectConsents, Uses
from civicbus_schemas.decision import Facts, Permit
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import ConsentRule, ConsentStatus

from tests.unit import lookup_samples as samples

STREAM, LOOKUPS, AT_ONCE = 10_000, 10_000, 2_000
STOPPED = {
    "vss.child-health-insurance": Standing.SUSPENDED,
    "bank.customer-details": Standing.REVOKED,
}


def with_stopped(policy: PolicySet) -> PolicySet:
    """The nation with one agreement on a stream suspended, and one on look-ups revoked."""
    agreements = tuple(
        replace(agreement, standing=STOPPED.get(agreement.ref.id, Standing.APPROVED))
        for agreement in policy.agreements
    )
    return replace(policy, agreements=agreements)


POLICY = with_stopped(samples.policy())
READS = compile_reads(POLICY)


@cache
def authority() -> Authority:
    return Authority(POLICY)


@cache
def planned() -> list[tuple[PlannedType, PlannedRelease]]:
    plan = compile_plan(POLICY, pairwise_key_of=lambda _: b"k" * 32)
    return [(type_, release) for type_ in plan.types.values() for release in type_.releases]


def whole_days() -> Iterator[date]:
    """The days on which something begins or ends, and the days beside them."""
    for day in {agreement.valid_from for agreement in POLICY.agreements}:
        yield from (day - timedelta(days=1), day)
    for day in {agreement.valid_until for agreement in POLICY.agreements}:
        yield from (day, day + timedelta(days=1))


TIMES = [datetime(d.year, d.month, d.day, 12, tzinfo=NATION_ZONE) for d in sorted(whole_days())]
TIMES.append(datetime(2028, 2, 29, 17, tzinfo=UTC))  # the nation's clock says March


def some_birth(draw: random.Random, at: datetime) -> date:
    """Near the ages that matter as often as anywhere."""
    day = at.astimezone(NATION_ZONE).date()
    years = draw.choice([0, 6, 18, draw.randrange(90)])
    return day - timedelta(days=int(years * 365.25) + draw.randrange(-3, 4))


def younger(born: date, years: int, at: datetime) -> bool:
    """Whether somebody is younger than that, counted forward from the birthday."""
    today = at.astimezone(NATION_ZONE).date()
    try:
        birthday = born.replace(year=born.year + years)
    except ValueError:  # 29 February
        birthday = date(born.year + years, 3, 1)
    return today < birthday


def some_consent(
    draw: random.Random, agreement: Agreement, needed: frozenset[str], at: datetime
) -> tuple[SubjectConsents, bool]:
    """Consents of one person, and whether they cover what is needed."""
    given = Consent(
        id="c",
        version=1,
        recipient=agreement.recipient,
        purpose=agreement.purpose,
        fields=needed | {"population.Person:sex"},
        status=ConsentStatus.GIVEN,
        since=at,
    )
    change, covers = draw.choice(
        [
            ({}, True),
            ({"valid_until": at + timedelta(seconds=1)}, True),
            ({"valid_until": at}, False),
            ({"status": ConsentStatus.WITHDRAWN}, False),
            ({"status": ConsentStatus.PAUSED}, False),
            ({"uses": Uses(count=9)}, False),
            ({"erase_at": at}, False),
            ({"fields": frozenset()}, False),
            ({"recipient": "vss"}, False),
            ({"purpose": "statistics.births"}, False),
        ]
    )
    return SubjectConsents((replace(given, **change),)), covers


def stream_requests() -> Iterator[tuple[bool, list[Asked]]]:
    """What the plan says about one field, and what to ask Cedar: all of it must be allowed."""
    draw = random.Random(20_000)  # noqa: S311
    for _ in range(STREAM):
        type_, release = draw.choice(planned())
        agreement, dataset = release.agreement, type_.contract.event_type
        at = draw.choice(TIMES)
        born = some_birth(draw, at) if draw.random() < 0.9 else None
        values: dict[str, tuple[date | None, ...]] = dict.fromkeys(type_.decision_paths, (born,))
        facts = Facts(
            provider=agreement.provider,
            event_type=dataset,
            contract=type_.contract.fingerprint,
            values=values,
        )
        consents, covered = some_consent(draw, agreement, release.needed, at)
        said = judge(release, facts, consents, minor=is_minor(facts, type_.born, at), at=at)
        path = draw.choice([*release.release.paths, *type_.contract.fields])
        known = born is not None and born <= at.astimezone(NATION_ZONE).date()
        yield (
            isinstance(said, Permit) and path in release.release.paths,
            [
                Asked(
                    recipient=agreement.recipient,
                    action=RELEASE,
                    dataset=dataset,
                    path=asked_path,
                    purpose=agreement.purpose,
                    basis=agreement.basis,
                    agreement=str(agreement.ref),
                    day=whole_day(at.astimezone(NATION_ZONE).date()),
                    conditions=known
                    and all(younger(born, c.years, at) for c in release.release.only_if),  # type: ignore[arg-type]
                    consent=covered and agreement.consent is ConsentRule.REQUIRED,
                    minor=minor,
                )
                for asked_path in {path, *release.release.paths}
                for minor in ([younger(born, 18, at)] if known else [False, True])  # type: ignore[arg-type]
            ],
        )


def look_ups() -> Iterator[tuple[bool, list[list[Asked]]]]:
    """What is judged of one look-up; it is allowed where all of it is, under any one agreement.

    Where no agreement has this recipient and purpose, any other is asked: it must not serve.
    """
    draw = random.Random(10_000)  # noqa: S311
    recipients = sorted({a.recipient for a in POLICY.agreements if a.reads})
    purposes = sorted({a.purpose for a in POLICY.agreements if a.reads})
    fields = list(POLICY.contracts[VIEW].fields)
    base = samples.request()
    for _ in range(LOOKUPS):
        mode, at = draw.choice(list(Mode)), draw.choice(TIMES)
        born = min(some_birth(draw, at), at.astimezone(NATION_ZONE).date())
        recipient, purpose = draw.choice(recipients), draw.choice(purposes)
        wanted = tuple(draw.sample(fields, draw.choice([1, 1, 2])))
        request = replace(
            base,
            purpose=purpose,
            mode=mode,
            fields=wanted,
            claims=dict.fromkeys(wanted) if mode is Mode.VERIFY else {},
            date_of_birth=born,
        )
        named = [a for a in POLICY.agreements if (a.recipient, a.purpose) == (recipient, purpose)]
        needed = frozenset(f"{VIEW}:{path}" for path in wanted)
        consents, covered = SubjectConsents(), False
        if named:
            consents, covered = some_consent(draw, named[0], needed, at)
        verdict = lookup.judge(
            request,
            READS,
            recipient=recipient,
            consents=consents,
            person=samples.person(date_of_birth=born),
            at=at,
        )
        yield (
            isinstance(verdict, lookup.Grant),
            [
                [
                    Asked(
                        recipient=recipient,
                        action=READ if mode is Mode.READ else VERIFY,
                        dataset=VIEW,
                        path=path,
                        purpose=purpose,
                        basis=agreement.basis,
                        agreement=str(agreement.ref),
                        day=whole_day(at.astimezone(NATION_ZONE).date()),
                        consent=covered and agreement.consent is ConsentRule.REQUIRED,
                        minor=younger(born, 18, at),
                    )
                    for path in wanted
                ]
                for agreement in named or [draw.choice(POLICY.agreements)]
            ],
        )


def all_allowed(questions: list[list[Asked]]) -> list[bool]:
    """Per request whether Cedar allows all of it."""
    distinct = list({question for request in questions for question in request})
    allowed: dict[Asked, bool] = {}
    for some in (distinct[n : n + AT_ONCE] for n in range(0, len(distinct), AT_ONCE)):
        allowed |= zip(some, (a.allowed for a in authority().ask(some)), strict=True)
    return [all(allowed[question] for question in request) for request in questions]


def test_stream_is_decided_as_cedar_decides_it() -> None:
    said, questions = zip(*stream_requests(), strict=True)
    cedar = all_allowed(list(questions))
    assert Counter(zip(said, cedar, strict=True)).keys() == {(True, True), (False, False)}


def test_look_ups_are_decided_as_cedar_decides_them() -> None:
    said, questions = zip(*look_ups(), strict=True)
    under = iter(all_allowed([asked for request in questions for asked in request]))
    cedar = [any([next(under) for _ in request]) for request in questions]  # noqa: C419
    assert Counter(zip(said, cedar, strict=True)).keys() == {(True, True), (False, False)}
