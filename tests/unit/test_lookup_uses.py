"""Counted consents in look-ups: one use a token, also for a name that was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.lookup.plan import compile_reads
from civicbus_consumers.recording.facts import open_secret
from civicbus_schemas.agreement import Limits
from civicbus_schemas.consent import SubjectConsents, Uses
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, Reason

from tests.fakes.uses import FakeReservations
from tests.fakes.vault import opened
from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import Office

USED_UP = Reason.CONSENT_USED_UP.value
KEY = topic_pseudonym(samples.TOPIC_KEY, samples.LAN).encode()


@dataclass
class CountingOffice:
    """An office to which the woman of the samples gave a consent for so many look-ups."""

    uses: int | None
    reservations: FakeReservations = field(default_factory=FakeReservations)

    def __post_init__(self) -> None:
        uses = None if self.uses is None else Uses(count=self.uses)
        states = samples.states()
        states.consents[KEY] = SubjectConsents((replace(samples.consent(), uses=uses),))
        self.office = Office(states=states, reservations=self.reservations)

    def ask(self, **changes: Any) -> tuple[int, str]:
        """The status, and why there is no result."""
        document = samples.verifying(full_name=samples.NAME) | changes
        answer = self.office.look_up(document, agency=samples.BANK)
        return answer.status_code, answer.json().get("code", "result")


def test_look_ups_are_refused_when_all_uses_are_spent() -> None:
    counting = CountingOffice(2)
    assert [counting.ask() for _ in range(3)] == [(200, "result"), (200, "result"), (403, USED_UP)]
    assert [r.decision for r in counting.office.records] == [
        Outcome.PERMIT,
        Outcome.PERMIT,
        Outcome.DENY,
    ]


def test_refusal_is_explained_in_both_languages_when_uses_are_spent() -> None:
    counting = CountingOffice(1)
    counting.ask()
    document = samples.verifying(full_name=samples.NAME)
    titles = [
        counting.office.look_up(document, agency=samples.BANK, accept_language=language).json()[
            "title"
        ]
        for language in ("vi", "en")
    ]
    assert titles == ["Đã dùng hết số lần được đồng ý", "All uses that were consented to are spent"]


def test_wrong_name_spends_a_use_and_cannot_be_told_from_a_right_one_afterwards() -> None:
    counting = CountingOffice(1)
    wrong = {"full_name": "Nguyễn Thị Sai"}
    assert counting.ask(**wrong) == (403, "subject-not-matched")
    assert counting.ask(**wrong) == (403, USED_UP)
    assert counting.ask() == (403, USED_UP)


def test_nothing_is_answered_or_recorded_when_uses_cannot_be_counted() -> None:
    counting = CountingOffice(1)
    counting.reservations.fails = True
    assert counting.ask() == (503, "uses-unavailable")
    assert counting.office.records == []
    counting.reservations.fails = False
    assert counting.ask() == (200, "result")


def test_nobody_is_asked_when_nothing_is_counted() -> None:
    counting = CountingOffice(None)
    counting.reservations.fails = True
    assert counting.ask() == (200, "result")
    assert counting.reservations.asked == 0


def test_no_use_is_spent_when_the_limit_refuses() -> None:
    """The limit is judged before a use is reserved, whatever the name."""
    policy = samples.policy()
    limited = [
        replace(agreement, limits=Limits(per_second=1))
        if agreement.purpose == samples.CREDIT
        else agreement
        for agreement in policy.agreements
    ]
    plan = compile_reads(replace(policy, agreements=tuple(limited)))
    reservations = FakeReservations()
    bench = samples.bench(replace(samples.consent(), uses=Uses(count=5)))
    bench = replace(
        bench,
        states=replace(bench.states, plan=plan),
        reservations=reservations,
        allowances=Allowances(begun=datetime.now(UTC) - timedelta(seconds=2)),
    )
    asked = [
        replace(samples.lookup(document, agency=samples.BANK), token=token)
        for document, token in zip(
            (samples.verifying(), samples.verifying(), samples.verifying() | {"full_name": "Sai"}),
            (replace(samples.token(samples.BANK), jti=jti * 16) for jti in ("01", "02", "03")),
            strict=True,
        )
    ]
    outcome, records = samples.answered(*asked, on=bench)
    limit = Reason.LIMIT_EXCEEDED
    assert [reply.code for reply in outcome.replies] == [None, limit, limit]
    assert [record.reason for record in records] == [None, limit, limit]
    assert sum(reservations.spent.values()) == 1
    assert samples.answered(asked[1], on=bench)[0].replies[0].code is limit
    assert sum(reservations.spent.values()) == 1


def test_what_was_reserved_is_sealed_with_the_verdict() -> None:
    counting = CountingOffice(1)
    counting.ask()
    counting.ask()
    found = []
    for page in counting.office.pages.pages:
        for leaf, part in zip(page.records, page.sealed, strict=True):
            _, secret = opened(part, Record.decode(leaf))
            found.append(open_secret(secret).reserved)
    assert found == [{samples.consent().id}, frozenset()]
