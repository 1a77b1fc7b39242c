"""Whether what was measured was also right. A fast wrong answer fails the benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_deploy.demo.oracle import Oracle
from civicbus_schemas.page import HeaderLeaf, Page
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class WrongAnswer(Exception):
    """The system under measurement did something wrong; its figures are worthless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One delivery as a recipient reads it: its record's id and its Avro body."""

    record: str
    body: bytes


def require(holds: object, what: str) -> None:
    """Raise `WrongAnswer` unless it holds."""
    if not holds:
        raise WrongAnswer(what)


def read_pages(pages: Iterable[Page], *, signer: Ed25519PublicKey | None) -> dict[str, Record]:
    """The records by id, of pages whose roots, counts and (with a key) signatures are right."""
    records: dict[str, Record] = {}
    for page in pages:
        leaf = HeaderLeaf.decode(page.header)
        root = CompactRange().extended(map(leaf_hash, page.records)).root().hex()
        require(leaf.header.records == len(page.records), "a header counts its records wrongly")
        require(leaf.header.root == root, "a header's root is not its records'")
        if signer is not None:
            try:
                signer.verify(leaf.signature, leaf.signed)
            except InvalidSignature:
                raise WrongAnswer("a page's signature does not verify") from None
        for data in page.records:
            record = Record.decode(data)
            require(record.id not in records, "a record stands on two pages")
            records[record.id] = record
    return records


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must have become of each event: by the oracle, under these agreements, on this day."""

    oracle: Oracle
    event_type: str
    agreements: Sequence[str]
    writer_schema: str
    on: date

    def bodies(self, source_body: bytes) -> dict[str, bytes]:
        """Agreement → delivered body, where anything may be delivered."""
        oracle, type_ = self.oracle, self.event_type
        return {
            ref: oracle.expected(
                agreement=ref,
                event_type=type_,
                source_body=source_body,
                writer_schema=self.writer_schema,
                on=self.on,
            )
            for ref in self.agreements
            if oracle.may_be_released(
                agreement=ref, event_type=type_, source_body=source_body, on=self.on
            )
        }


def check_deliveries(
    published: Mapping[str, bytes],
    given: Iterable[Given],
    *,
    records: Mapping[str, Record],
    expectation: Expectation,
) -> int:
    """How many deliveries were right; raises `WrongAnswer` if one is wrong, missing or too many.

    `published` is event id → body. Every delivery names a record that stands on a page, which
    names event and agreement; every agreement has decided every event, and says what happened.
    """
    wanted = {
        (id_, ref): body
        for id_, source in published.items()
        for ref, body in expectation.bodies(source).items()
    }
    seen: Counter[tuple[str, str]] = Counter()
    for delivery in given:
        record = records.get(delivery.record)
        require(record, "a delivery's record is on no page")
        place = _place(record)
        require(place in wanted, "something was delivered that may not be")
        require(delivery.body == wanted[place], f"{place[1]}: bytes differ from the oracle's")
        seen[place] += 1
    require(set(seen) == set(wanted), "a delivery is missing")
    require(max(seen.values(), default=1) == 1, "an event was delivered twice")
    _check_decisions(published, records, wanted=wanted, agreements=expectation.agreements)
    return len(seen)


def _place(record: Record | None) -> tuple[str, str]:
    require(record and record.event and record.event.id, "a record names no event")
    assert record is not None
    assert record.event is not None
    return str(record.event.id), str(record.agreement)


def _check_decisions(
    published: Mapping[str, bytes],
    records: Mapping[str, Record],
    *,
    wanted: Mapping[tuple[str, str], bytes],
    agreements: Sequence[str],
) -> None:
    decided: dict[tuple[str, str], set[Outcome]] = {}
    for record in records.values():
        place = _place(record)
        if place[0] in published:
            decided.setdefault(place, set()).add(record.decision)
    for place in ((id_, ref) for id_ in published for ref in agreements):
        outcome = Outcome.PERMIT if place in wanted else Outcome.DENY
        require(decided.pop(place, None) == {outcome}, "an event's record does not say what was")
    require(not decided, "there are records of agreements that were not asked")


def check_copies(published: Iterable[bytes], copied: Mapping[str, Iterable[bytes]]) -> None:
    """The bare loop, too, must have done its work: every value once on every topic."""
    wanted = Counter(published)
    for topic, values in copied.items():
        require(Counter(values) == wanted, f"{topic} does not hold what was copied")
