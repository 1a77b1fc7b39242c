"""The story, chapter by chapter: a child is born, and her mother asks a bank for a loan.

Each chapter does what it tells on the running stack and returns the checks that it made.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from civicbus_audit.index.searching import Entry
from civicbus_audit.query import Query
from civicbus_producers.receipt import Published
from civicbus_schemas import telemetry
from civicbus_schemas.ids import AgreementRef, EventId, EventType
from civicbus_schemas.vocabulary import ConsentAct, Outcome
from opentelemetry import trace
from opentelemetry.context import Context

from civicbus_deploy.demo import people
from civicbus_deploy.demo.checks import Withdrawal
from civicbus_deploy.demo.people import Family, Somebody
from civicbus_deploy.demo.scene import Scene
from civicbus_deploy.demo.teller import Teller

BIRTH = EventType("civil-status.BirthRegistered")
MAY_HAVE_A_BIRTH = {"vss", "mps", "npd"}  # the agreement with moh has expired
OK, FORBIDDEN = 200, 403


@dataclass(slots=True, kw_only=True)
class Told:
    """What the chapters have found out so far."""

    checks: dict[str, bool] = field(default_factory=dict)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    birth: Published | None = None
    record_id: str = ""
    lookups: int = 0
    refused: int = 0


def tell_birth(scene: Scene, teller: Teller, told: Told, *, family: Family) -> None:
    """A child is born: who gets which of how many fields, and why; who gets nothing, and why."""
    teller.chapter("A child is born")
    child, mother = family.child, family.mother
    scene.publish("identity", people.pin_issued(mother, with_card=True), mother.pin)
    scene.publish("identity", people.eid_given(mother), mother.pin)
    digitised = people.birth_registered(mother, mother=None, kind="digitised")
    scene.publish("moj", digitised, mother.pin)
    scene.publish("mps", people.residence_registered(mother), mother.pin)
    scene.publish("identity", people.pin_issued(child, with_card=False), child.pin)
    with _traced("birth"):
        birth = people.birth_registered(child, mother=mother, kind="on-time")
        told.birth = scene.publish("moj", birth, child.pin)
    teller.say(
        f"The civil registry published [bold]{BIRTH}[/] {told.birth.event_id} (synthetic data)."
    )
    entries = _entries_of(scene, told.birth.event_id)
    contract = scene.policy.contracts[BIRTH]
    teller.table(
        ("agency", "got", "why", "agreement"),
        list(_who_got(scene, entries, total=len(contract.fields))),
    )
    sure = {e.recipient for e in entries if e.decision == Outcome.PERMIT}
    told.checks["birth_reaches_who_may_have_it"] = sure == MAY_HAVE_A_BIRTH
    told.record_id = next(str(e.id) for e in entries if e.recipient == "vss")


def _traced(name: str) -> Any:
    """A sampled trace of its own, so that the event can be followed in Zipkin."""
    return trace.get_tracer(telemetry.SCOPE).start_as_current_span(
        name, context=Context(), attributes={telemetry.SAMPLED_EVENT: True}
    )


def _entries_of(scene: Scene, event_id: EventId) -> list[Entry]:
    """The records of one event, once every agreement that names its type has decided."""
    due = {str(a.ref) for a in scene.policy.agreements if BIRTH in a.releases}
    found: list[Entry] = []

    def is_sealed() -> bool:
        found[:] = scene.find(Query(event_id=event_id, limit=1000))
        return {e.agreement for e in found} == due

    scene.wait(is_sealed, "the birth's records to be sealed")
    return found


def _who_got(scene: Scene, entries: list[Entry], *, total: int) -> Iterable[tuple[str, ...]]:
    for agency in scene.policy.agencies.values():
        mine = [e for e in entries if e.recipient == agency.id]
        if agency.id == "moj":
            continue
        if not mine:
            yield agency.names.en, f"nothing of {total}", "no agreement names this event", ""
            continue
        agreement = scene.policy.get_agreement(AgreementRef.parse(str(mine[0].agreement)))
        fields = {path for e in mine if e.decision == Outcome.PERMIT for path in e.fields}
        article = scene.policy.bases[agreement.basis].article
        title = scene.policy.purposes[agreement.purpose].titles.en
        got = f"{len(fields)} of {total} fields" if fields else f"nothing of {total}"
        why = f"{title} ({article})" if fields else str(mine[0].reason)
        yield agency.names.en, got, why, str(agreement.ref)


def tell_loan(scene: Scene, teller: Teller, told: Told, *, citizen: Somebody) -> None:
    """A bank is refused, the citizen consents, the bank gets yes or no, the citizen withdraws."""
    teller.chapter("The mother asks a bank for a loan")
    consent_id = str(uuid.uuid4())
    scene.wait(
        lambda: scene.knows(citizen.pin, ("full_name", "permanent_commune_code", "eid_level")),
        "the mother to be in the population view",
    )

    refused = _ask(scene, told, citizen)
    teller.say(f"The bank asks to verify three fields: refused, [bold]{refused[1].get('code')}[/].")

    shown = scene.shown(people.BANK, people.PURPOSE)
    given = scene.consent(ConsentAct.GIVE, people.consenting(citizen, consent_id, shown=shown))
    bound_s = scene.pass_fence(given).seconds
    teller.say(f"She consents in VNeID; it binds everywhere after {_ms(bound_s)}.")
    granted = _ask(scene, told, citizen)
    teller.say(f"The bank asks again: {_answers(granted[1])}; it never sees a value.")

    withdrawn = scene.consent(ConsentAct.WITHDRAW, people.withdrawing(citizen, consent_id))
    fence = scene.pass_fence(withdrawn)
    passed_ms = int(time.time() * 1000)
    told.withdrawals.append(Withdrawal(consent=consent_id, fence=fence, fence_passed_ms=passed_ms))
    teller.say(f"She withdraws; the fence is passed after [bold]{_ms(fence.seconds)}[/].")
    again = _ask(scene, told, citizen)
    teller.say(f"The bank asks once more: refused, [bold]{again[1].get('code')}[/].")
    told.checks["bank_answered_only_on_consent"] = (
        (refused[0], granted[0], again[0]) == (FORBIDDEN, OK, FORBIDDEN)
        and refused[1].get("code") == "no-consent"
        and again[1].get("code") == "consent-withdrawn"
        and all(isinstance(v, bool) for v in granted[1]["result"]["fields"].values())
    )


def _ask(scene: Scene, told: Told, citizen: Somebody) -> tuple[int, dict[str, Any]]:
    return ask(scene, told, agency=people.BANK, body=people.borrower_check(citizen))


def ask(
    scene: Scene, told: Told, *, agency: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """One look-up, counted: its status and answer."""
    status, answer = scene.look_up(agency, body)
    told.lookups += 1
    told.refused += status != OK
    return status, answer


def _answers(answer: dict[str, Any]) -> str:
    if "result" not in answer:
        return f"refused, [bold]{answer.get('code')}[/]"
    result = answer["result"]["fields"]
    return ", ".join(f"{path} [bold]{'yes' if ok else 'no'}[/]" for path, ok in result.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
