"""Reviews of emergencies and closings of cases; each is a leaf of its own.

An act is recorded and nothing else happens: what follows from it (an emergency is reviewed, hidden
readings are shown) is read from the leaf. It holds when the page is durable, and is found when it
is sealed, within a second or two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from civicbus_audit.index.database import make_engine
from civicbus_audit.index.oversight import Emergency, Find, emergencies
from civicbus_audit.index.searching import Entry, confirm, search
from civicbus_audit.places import Places
from civicbus_audit.query import Query
from civicbus_audit.vault.store import PostgresVault
from civicbus_audit.vault.tables import RECORDER_ROLE
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.records import record_case_closed, record_review
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId, RecordId, hex_id
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.subject import Secret, Subject, case, officer
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_deploy.embedded.postgres import vault_dsn_file
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.hindsight.archive import open_ledger
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.recorders import begin_recorder

PROCESS = "oversight"
"""The recorder's name in its pages; `sign-oversight.pem` is its key."""


class Verdict(StrEnum):
    """What a review finds."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Who acts: an agency's officer, whose name is sealed."""

    agency: AgencyId
    name: str

    @property
    def subject(self) -> Subject:
        """As the vault knows them."""
        return officer(self.agency, self.name)

    def actor(self, secret: Secret) -> Actor:
        """As records name them."""
        return Actor(agency=self.agency, system=PROCESS, officer=secret.pseudonym)


@contextmanager
def asking(folder: StateFolder) -> Iterator[Find]:
    """Finds what matches, each compared with its leaf; that raises `EvidenceBroken`."""
    engine = make_engine(Places.under(folder.home).dsn_file)

    def find(query: Query) -> list[Entry]:
        found = search(engine, query)
        confirm(found, open_ledger(folder))  # which is never behind the index
        return found

    try:
        yield find
    finally:
        engine.dispose()


def find_emergencies(folder: StateFolder) -> list[Emergency]:
    """Every emergency, each compared with its leaf; raises `EvidenceBroken`."""
    with asking(folder) as find:
        return emergencies(find)


def review(site: Site, id_: str, verdict: Verdict, *, by: Officer, note: str) -> RecordId:
    """Record a review; its record's id. Raises `Refused` where it is not to be reviewed by them."""
    hex_id(id_, what="record's id")
    _announced_with(site, by)
    found = [e for e in find_emergencies(site.folder) if e.entry.id == id_]
    if not found:
        raise Refused("no emergency has this record's id", next_step="civicbus breakglass list")
    [emergency] = found
    if emergency.review is not None:
        raise Refused("it was reviewed before", got=f"record {emergency.review.id}")
    if emergency.entry.recipient == by.agency:
        raise Refused("nobody reviews their own emergency", expected="an officer of another agency")
    reviewed = Record.decode(open_ledger(site.folder).leaf(emergency.entry.index))
    secret = canonical_json({"officer": by.name, "note": note})
    justified = verdict is Verdict.JUSTIFIED
    with closing(open_vault(site)) as vault:
        [reviewer] = vault.get_or_create([by.subject]).values()
        whose = vault.named([reviewed.subject] if reviewed.subject else [])
    if not whose:
        raise Refused("what was recorded about this person has been erased")

    def make(stamp: Stamp) -> Record:
        actor = by.actor(reviewer)
        return record_review(
            reviewed, justified=justified, reviewer=actor, secret=secret, stamp=stamp
        )

    return record_act(site, by, make, secret=secret, under=next(iter(whose.values())))


def close_case(site: Site, number: str, *, by: Officer) -> RecordId:
    """Record that an agency's case is closed; the record's id. What it hid is shown from now on.

    Raises `Refused` where the agency has no open case of that number, as far as the ledger knows.
    """
    _announced_with(site, by)
    secret, matter = canonical_json({"officer": by.name, "case": number}), case(by.agency, number)
    with closing(open_vault(site)) as vault, asking(site.folder) as find:
        known = vault.find([matter]).get(matter)
        _check_open(None if known is None else known.pseudonym, find)
        secrets = vault.get_or_create([by.subject, matter])

    def make(stamp: Stamp) -> Record:
        actor, name = by.actor(secrets[by.subject]), secrets[matter].pseudonym
        return record_case_closed(name, actor=actor, secret=secret, stamp=stamp)

    return record_act(site, by, make, secret=secret, under=secrets[matter])


def _check_open(name: str | None, find: Find) -> None:
    """A case is open by the first reading that it hides, and until it is closed."""
    hides = name and find(Query(kind=RecordKind.ACCESS_DEFERRED, case_id=name, limit=1))
    if not hides:
        raise Refused(
            "there is no such open case: this agency has read nothing in it that is hidden",
            expected="the case's number as its look-ups gave it, and the agency that made them",
            next_step="correct number or agency; of what was just read, call again in some seconds",
        )
    if find(Query(kind=RecordKind.CASE_CLOSED, case_id=name, limit=1)):
        raise Refused("there is no such open case: it was closed before")


def record_act(
    site: Site, by: Officer, make: Callable[[Stamp], Record], *, secret: bytes, under: Secret
) -> RecordId:
    """Record an act of an officer; its record's id.

    1. The record is durable, 2. the next page says so, as of every other.
    """
    policy = _announced_with(site, by)
    recorder = begin_recorder(
        PROCESS,
        site.broker.access,
        secrets=site.folder.secrets,
        registry_url=site.addresses.registry_url,
    )
    page = recorder.open_page(datetime.now(UTC))
    stamp = page.stamp()
    page.add(make(stamp), stamp=stamp, secret=secret, under=under)
    written = recorder.write(page, policy=policy.version, positions=())  # 1
    recorder.mark_released(written)
    recorder.write(recorder.open_page(datetime.now(UTC)), policy=policy.version, positions=())  # 2
    return stamp.id


def _announced_with(site: Site, by: Officer) -> PolicySet:
    """The announced set, which knows the officer's agency; raises `Refused`."""
    policy = site.announced()
    if policy is None:
        raise Refused("no policy set is announced", next_step="civicbus provision")
    if by.agency not in policy.agencies:
        raise Refused("no such agency", got=by.agency, expected=sorted(policy.agencies))
    return policy


def open_vault(site: Site, login: str = RECORDER_ROLE) -> PostgresVault:
    """The vault as a login of it sees it, to be closed."""
    places = Places.under(site.folder.home)
    return places.with_vault(None, vault_dsn_file(site.folder, login)).vault()


def outcome_of(review: Entry) -> Verdict:
    """What a review's leaf found."""
    return Verdict.JUSTIFIED if review.decision == Outcome.PERMIT else Verdict.UNJUSTIFIED
