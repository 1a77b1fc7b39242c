"""Erasing a subject: its secret is destroyed, every proof stays. Read `erase` first.

The leaf names the subject's old pseudonym, which nobody can link to a person any more once the
secret is gone; who ordered it and why is sealed under the approver's secret.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from civicbus_audit.vault.port import Erasing, Vault
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import Refused, Unavailable
from civicbus_schemas.ids import RecordId
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.subject import Secret, officer
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.officers.orders import Act, Given
from civicbus_consumers.officers.records import SYSTEM
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.recorder import Recorder

Hindrance = Callable[[LedgerPseudonym], str | None]
"""Why a subject may not be erased now; None where nothing stands against it."""


def erase(
    given: Given,
    *,
    vault: Vault,
    eraser: Erasing,
    recorder: Recorder,
    hindrance: Hindrance,
    now: datetime,
) -> RecordId:
    """Carry out an order to erase; the id of its record. Raises `Refused` with nothing done.

    Raises `Unavailable` where the leaf is there and the secret was not destroyed by this order.

    1. The order is one, its subject is a person whose secret is there, and nothing stands against
    it. 2. The leaf is durable. 3. The secret is destroyed. 4. The next page says that it was done.
    Death after 2 leaves a leaf that nobody calls released, and the secret: the order is carried out
    again. Recorders that know the secret use it for `vault.cached.MAX_AGE_S` at most.
    """
    name = LedgerPseudonym(given.order.about)
    if given.order.act is not Act.ERASE:  # 1
        raise Refused("this order is no erasure", got=given.order.act)
    if not eraser.has_person(name):
        raise Refused("the vault knows no person of this name", expected="one who is not erased")
    if (why := hindrance(name)) is not None:
        raise Refused("this subject may not be erased now", got=why)
    approver = officer(given.approved_by.agency, given.approved_by.name)
    under = vault.get_or_create([approver])[approver]
    page = recorder.open_page(now)
    stamp = page.stamp()
    secret = secret_of(given)
    record = record_erasure(given, under=under, secret=secret, stamp=stamp)
    page.add(record, stamp=stamp, secret=secret, under=under)
    written = recorder.write(page, policy=None, positions=())  # 2
    if not eraser.destroy(name):  # 3
        raise Unavailable(
            "the vault destroyed no secret of this person",
            next_step="carry out the order again; it is refused if another one did it meanwhile",
        )
    recorder.mark_released(written)
    recorder.write(recorder.open_page(now), policy=None, positions=())  # 4
    return stamp.id


def secret_of(given: Given) -> bytes:
    """What is sealed: who asked, who approved, and why."""
    return canonical_json(
        {
            "asked_by": {"agency": given.asked_by.agency, "officer": given.asked_by.name},
            "approved_by": {"agency": given.approved_by.agency, "officer": given.approved_by.name},
            "reason": given.order.reason,
        }
    )


def record_erasure(given: Given, *, under: Secret, secret: bytes, stamp: Stamp) -> Record:
    """The leaf of an erasure; `under` is the approver's secret."""
    by = given.approved_by
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.SUBJECT_ERASURE,
        actor=Actor(agency=by.agency, system=SYSTEM, role=by.role, officer=under.pseudonym),
        subject=LedgerPseudonym(given.order.about),
        decision=Outcome.PERMIT,
    )
