"""I6 while a recipient's key is rotated: it links its own pseudonyms; no two recipients are joined.

Needs no broker: what leaves is made by the release step over fakes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations

import pytest
from civicbus_consumers.enforcement.handler import release_batch
from civicbus_schemas.codec import unframe
from civicbus_schemas.envelope import MAX_FORMER, Envelope, parse_headers
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.keyring import PairwiseKeys
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.pseudonym import pairwise_pseudonym
from civicbus_schemas.vocabulary import Reason

from tests.fakes.enforcement import FakeClock, FakeStates, ready
from tests.unit import enforcement_samples as enforcement
from tests.unit import schemas_samples as samples

VSS, OTHER = AgencyId("vss"), AgencyId("mps")
NUMBERS = ("001324012345", "001190000001", "001190000002")  # the child, and both parents
NOW = FakeClock().at
OLD, NEW, UNTOUCHED = b"o" * 32, b"n" * 32, b"u" * 32

BEFORE = PairwiseKeys(key=OLD)
DURING = BEFORE.rotated(NEW, until=NOW + timedelta(days=1), at=NOW)
LATER = replace(DURING, told_until=NOW - timedelta(seconds=1))  # its overlap is over
AFTER = DURING.retired()


@dataclass(frozen=True, slots=True)
class Told:
    """What one recipient can see of one delivery."""

    key: str
    envelope: Envelope
    values: frozenset[str]

    @property
    def former(self) -> dict[str, str]:
        assert self.envelope.ground is not None
        return dict(self.envelope.ground.former)

    @property
    def tokens(self) -> set[str]:
        """Everything that a recipient could join by."""
        assert self.envelope.ground is not None
        pairs = {token for pair in self.envelope.ground.former for token in pair}
        names = {self.key, self.envelope.id, self.envelope.ground.record_id} | pairs | self.values
        trace = self.envelope.traceparent
        return names | (set(trace.split("-")[1:3]) if trace else set())


def nation() -> PolicySet:
    """The sample nation in which two agencies get the same birth with pseudonyms of the parents."""
    document = samples.policy()
    document["agencies"]["mps"]["receives"] = ["civil-status"]
    first = samples.agreement()
    release = {
        "fields": [{"child.pin": "pairwise-pseudonym"}, {"parents[].pin": "pairwise-pseudonym"}]
    }
    first["releases"] = {samples.BIRTH: release}
    second = first | {"agreement": "mps.child-residence", "recipient": "mps"}
    document["agreements"] = [first, second]
    return parse_policy_set(samples.policy_bytes(document))


def delivered(keys: PairwiseKeys) -> dict[str, Told]:
    """One birth to both recipients, where vss has these keys; per recipient what it sees."""

    def pairwise_of(agency: AgencyId) -> PairwiseKeys:
        return keys if agency == VSS else PairwiseKeys(key=UNTOUCHED)

    prepared = ready(nation(), pairwise_key_of=lambda agency: pairwise_of(agency).key)
    bench, _, _, releases = enforcement.bench(states=FakeStates(prepared))
    bench.keys = enforcement.keys(pairwise_of=pairwise_of)
    release_batch([enforcement.taken()], bench)
    told = {}
    plan = prepared.plan
    cuts = {r.agreement.recipient: r.cut for t in plan.types.values() for r in t.releases}
    for message in releases.produced:
        recipient = message.topic.split(".")[1]
        _, body = unframe(message.value)
        datum = cuts[AgencyId(recipient)].delivered.decode(body)
        values = {datum["child"]["pin"], *(parent["pin"] for parent in datum["parents"])}
        told[recipient] = Told(
            (message.key or b"").decode(), parse_headers(message.headers), frozenset(values)
        )
    return told


def names(key: bytes) -> list[str]:
    return [pairwise_pseudonym(key, number) for number in NUMBERS]


PHASES = {"before": BEFORE, "during": DURING, "overlap over": LATER, "after": AFTER}


@pytest.mark.parametrize("phase", PHASES)
def test_two_recipients_cannot_join_what_each_was_given_at_any_time_of_a_rotation(
    phase: str,
) -> None:
    told = delivered(PHASES[phase])
    assert set(told) == {VSS, OTHER}
    assert told[VSS].tokens.isdisjoint(told[OTHER].tokens)
    for tokens in (told[VSS].tokens, told[OTHER].tokens):
        assert tokens.isdisjoint({*NUMBERS, "event-0-0", enforcement.taken().key.decode()})  # type: ignore[union-attr]


def test_no_two_recipients_share_a_token_when_all_times_are_laid_side_by_side() -> None:
    times = [delivered(keys) for keys in PHASES.values()]
    mine = set().union(*(told[VSS].tokens for told in times))
    theirs = set().union(*(told[OTHER].tokens for told in times))
    assert {t for t in mine & theirs if len(t) == 32} == set()
    assert mine.isdisjoint(theirs)


def test_the_recipient_links_key_and_values_while_the_overlap_lasts() -> None:
    before, during = delivered(BEFORE)[VSS], delivered(DURING)[VSS]
    assert before.key == names(OLD)[0]
    assert before.values == set(names(OLD))
    assert during.key == names(NEW)[0]
    assert during.values == set(names(NEW))
    assert during.former == dict(zip(names(NEW), names(OLD), strict=True))
    assert during.former[during.key] == before.key


@pytest.mark.parametrize("keys", [LATER, AFTER], ids=["overlap over", "after"])
def test_nothing_links_to_the_former_pseudonyms_when_the_overlap_is_over(
    keys: PairwiseKeys,
) -> None:
    told = delivered(keys)[VSS]
    assert told.former == {}
    assert told.tokens.isdisjoint({*names(OLD), delivered(BEFORE)[VSS].envelope.id})


def test_the_others_are_told_nothing_when_one_recipients_key_is_rotated() -> None:
    before, during = delivered(BEFORE)[OTHER], delivered(DURING)[OTHER]
    assert during.former == {}
    assert (before.key, before.values, before.envelope.id) == (
        during.key,
        during.values,
        during.envelope.id,
    )


def test_ids_change_with_the_key_so_that_epochs_cannot_be_joined_by_them() -> None:
    ids = [delivered(keys)[VSS].envelope.id for keys in (BEFORE, DURING)]
    assert len(set(ids)) == 2
    epochs = [delivered(keys)[VSS] for keys in (BEFORE, AFTER)]
    for one, other in combinations(epochs, 2):
        assert (one.values | {one.key}).isdisjoint(other.values | {other.key})


def test_an_event_is_set_aside_when_more_former_pseudonyms_are_due_than_a_header_holds() -> None:
    datum = samples.birth_datum()
    datum["parents"] = [
        {"pin": f"{n:012}", "full_name": "Nguyễn Văn Bình"} for n in range(MAX_FORMER + 1)
    ]
    body = samples.birth_contract().avro.encode(datum)
    value = enforcement.frame(enforcement.SCHEMA_ID, body)
    keys = enforcement.keys(pairwise_of=lambda _: DURING)
    bench, _, log, releases = enforcement.bench(states=FakeStates(ready(nation())))
    bench.keys = keys
    release_batch([enforcement.taken(value=value)], bench)
    assert [m.topic for m in releases.produced] == ["src.moj.civil-status.v1.dlq"]
    headers = dict(releases.produced[0].headers)
    assert headers["dlq_reason"] == Reason.TOO_LARGE.encode()
    assert len(log.pages[0].records) == 1
