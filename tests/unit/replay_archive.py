"""A state folder with a ledger of real decisions in the packaged nation, made on fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.sealer import Sealer
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.handler import release_batch
from civicbus_consumers.enforcement.note import Coordinates
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.lookup.handler import answer_batch
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import Recorder
from civicbus_deploy.provisioning.nation import Nation, load_nation
from civicbus_producers.outgoing import Composer
from civicbus_schemas.codec import AvroType, SchemaDocument, canonical_json, parse_schema
from civicbus_schemas.consent import Consent, SubjectConsents, Uses
from civicbus_schemas.event import Event
from civicbus_schemas.ids import AgencyId, RecorderId
from civicbus_schemas.page import Page, key_id
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.vocabulary import ConsentStatus
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import lives
from tests.fakes.enforcement import FakePageLog, FakeReleases, FakeStates, Journal, ready
from tests.fakes.pages import bound, messages
from tests.fakes.uses import FakeReservations
from tests.fakes.vault import FakeVault
from tests.unit import enforcement_samples, lookup_samples
from tests.unit.lookup_samples import SIGNER, TOPIC_KEY

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
VAULT = FakeVault()
BORN = (date(1996, 1, 1), lives.TODAY.replace(year=lives.TODAY.year - 10, day=1))


@cache
def nation() -> Nation:
    """The packaged one."""
    return load_nation()


def announced() -> bytes:
    """Its set; nobody has signed anything, which decisions do not ask."""
    return canonical_json(nation().document)


class MemorySchemas:
    """A registry in memory."""

    def __init__(self) -> None:
        self.documents: list[SchemaDocument] = []

    def get_id(self, topic: str, document: SchemaDocument) -> int:
        """The place of the schema in the list."""
        del topic
        if document not in self.documents:
            self.documents.append(document)
        return self.documents.index(document)

    def type_of(self, schema_id: int) -> AvroType:
        """The schema of that id."""
        return parse_schema(self.documents[schema_id])


def stream_pages() -> list[Page]:
    """Births, and cards of grown people and minors who consented, took it back, or did neither."""
    schemas, log = MemorySchemas(), FakePageLog(Journal())
    registry = Composer(
        AgencyId("moj"), families=["civil-status"], topic_key=TOPIC_KEY, schema_ids=schemas
    )
    identity = Composer(
        AgencyId("identity"), families=["identity"], topic_key=TOPIC_KEY, schema_ids=schemas
    )
    taken = list(_taken(registry, [lives.birth(n) for n in range(3)]))
    cards = [lives.card(n, born=BORN[n % 2]) for n in (*range(6), 0)]
    taken += _taken(identity, cards)
    states = FakeStates(ready(nation().policy), consents=dict(_consents()))
    release_batch(taken, _bench(states, log, schemas.type_of))
    return log.pages


def look_up_pages() -> list[Page]:
    """Look-ups that are granted, of which one is about two persons, and refused."""
    asked = lookup_samples.asked
    stranger = asked(full_name="Trần Văn Bình")
    lookups = [
        lookup_samples.lookup(),
        lookup_samples.lookup(
            asked(purpose="criminal-record.certify", fields=["full_name", "mother_pin"]),
            agency=lookup_samples.MOJ,
        ),
        lookup_samples.lookup(lookup_samples.verifying(), agency=lookup_samples.BANK),
        lookup_samples.lookup(lookup_samples.verifying(sex="female"), agency=lookup_samples.BANK),
        lookup_samples.lookup(stranger),
        lookup_samples.lookup(asked(pin=lookup_samples.NOBODY.number)),
        lookup_samples.lookup(asked(fields=["religion", "shoe_size"])),
        lookup_samples.lookup(
            asked(purpose="health.emergency-treatment", fields=["sex"], break_glass="bất tỉnh"),
            agency=AgencyId("hospital-cho-ray"),
        ),
        lookup_samples.lookup(asked(purpose="investigation.criminal"), agency=AgencyId("mps")),
        lookup_samples.lookup(asked(purpose="statistics.births")),
    ]
    for number, lookup in enumerate(lookups):
        object.__setattr__(lookup.token, "jti", f"{number:032x}")
    pages = lookup_samples.FakePages()
    bench = replace(lookup_samples.bench(lookup_samples.consent("full_name")), vault=VAULT)
    answer_batch(lookups, bench, recorder=lookup_samples.recorder(pages))
    return pages.pages


def _taken(composer: Composer, events: Sequence[Event]) -> Iterator[Taken]:
    for offset, event in enumerate(events):
        made = composer.compose(event, subject=event.key_pin)
        place = Coordinates(made.topic, 0, offset)
        yield Taken(at=place, key=made.key, value=made.value, headers=made.headers)


def _consents() -> Iterator[tuple[bytes, SubjectConsents]]:
    """Of the people with cards 0 to 3: who consented, of which 0 once; and 2 and 3 took it back."""
    for n in range(4):
        withdrawn = n > 1
        consent = Consent(
            id=f"c-{n}",
            version=1 + withdrawn,
            recipient=AgencyId("bank"),
            purpose="account.update-customer",
            fields=frozenset(lives.CARD_FIELDS),
            status=ConsentStatus.WITHDRAWN if withdrawn else ConsentStatus.GIVEN,
            since=lookup_samples.AT,
            uses=None if n else Uses(count=1),
        )
        yield topic_pseudonym(TOPIC_KEY, lives.child_pin(n)).encode(), SubjectConsents((consent,))


def _bench(states: FakeStates, log: FakePageLog, type_of: Callable[[int], AvroType]) -> Bench:
    recorder = Recorder(
        log,
        chain=Chain(process="enforce-0", recorder=RecorderId("ab" * 16)),
        signer=SIGNER,
        key=key_id(SIGNER.public_key().public_bytes_raw()),
    )
    return Bench(
        states=states,  # type: ignore[arg-type]
        recorder=recorder,
        releases=FakeReleases(Journal()),  # type: ignore[arg-type]
        keys=enforcement_samples.keys(),
        vault=VAULT,
        type_of=type_of,
        reservations=FakeReservations(),
    )


def make_archive(home: Path) -> Path:
    """A state folder as a bus leaves it: ledger, verifier key, and the announced set."""
    for folder in ("keys", "secrets", "sets"):
        (home / folder).mkdir()
    (home / "stack.json").write_text("{}")
    (home / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    (home / "sets/announced.json").write_bytes(announced())
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        pages = [*stream_pages(), *look_up_pages()]
        Sealer(ledger, keys=bound(SIGNER, "enforce-0", "lookup")).seal(messages(*pages))
    return home
