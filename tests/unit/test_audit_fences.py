"""What the ledger says about fences: a sound history, and histories spoilt in one place each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from civicbus_audit.cli import app
from civicbus_audit.fences import Breach, Rule, Withdrawal, examine, read_withdrawals
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.sealer import Sealer
from civicbus_schemas.errors import EvidenceBroken, Refused
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import Page, PageRef, Position
from civicbus_schemas.record import Positions, Record
from civicbus_schemas.topics import STATE_CONSENT, STATE_POLICY
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages

A, B, LOOK_UPS = RecorderId("a" * 32), RecorderId("b" * 32), RecorderId("c" * 32)
CONSENT = "5c1e5f0e-0000-4000-8000-000000000001"
MINE, OTHER = 1, 3  # partitions; the samples' events lie in the first
WITHDRAWN = Withdrawal(consent=CONSENT, partition=MINE, position=8)
ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))


def at(mine: int, other: int = 5) -> tuple[Position, ...]:
    """Where a page stands."""
    return (
        Position(topic=STATE_CONSENT, partition=MINE, offset=mine),
        Position(topic=STATE_CONSENT, partition=OTHER, offset=other),
        Position(topic=STATE_POLICY, partition=0, offset=1),
    )


def permitted(position: int | None) -> Record:
    """A permission that rests on the consent at this position."""
    return replace(decision(), consent=f"{CONSENT}@1", positions=Positions(consent=position))


def refused(position: int) -> Record:
    """A refusal because the consent was found withdrawn there."""
    denied = decision(outcome=Outcome.DENY, reason=Reason.CONSENT_WITHDRAWN)
    return replace(denied, consent=f"{CONSENT}@2", positions=Positions(consent=position))


def looked_up(record: Record) -> Record:
    """The same of a look-up, which names no event."""
    return replace(record, event=None)


@dataclass
class History:
    """Pages in the order of the ledger."""

    leaves: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, recorder: FakeRecorder, *records: Record, mine: int, other: int = 5) -> Page:
        """One more page, which stands at these positions."""
        recorder.positions = at(mine, other)
        page = recorder.write(*records)
        for leaf in (page.header, *page.records):
            self.leaves.append((len(self.leaves), leaf))
        return page

    def release(self, recorder: FakeRecorder, *records: Record, mine: int) -> Page:
        """One more page, whose release the next one tells."""
        page = self.write(recorder, *records, mine=mine)
        recorder.release(page)
        return page

    def breaches(self, *withdrawals: Withdrawal) -> Sequence[tuple[Rule, int]]:
        """What is found: rule and leaf."""
        return [(b.rule, b.leaf) for b in examine(self.leaves, withdrawals).breaches]


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder(A)


def test_nothing_is_found_when_every_page_keeps_to_the_fence(
    history: History, recorder: FakeRecorder
) -> None:
    history.release(recorder, permitted(6), mine=6)
    history.release(recorder, permitted(7), mine=7)
    history.release(recorder, refused(8), mine=8)
    successor = recorder.successor(B)
    history.release(successor, refused(9), mine=9)
    found = examine(history.leaves, [WITHDRAWN])
    assert (found.pages, found.permits, found.withdrawn, found.breaches) == (4, 2, 1, ())


def test_permission_is_found_when_its_page_stands_at_the_withdrawal(
    history: History, recorder: FakeRecorder
) -> None:
    history.release(recorder, permitted(7), decision(), permitted(7), mine=7)
    history.release(recorder, decision(), permitted(8), mine=8)
    assert history.breaches(WITHDRAWN) == [(Rule.PERMITTED_AFTER_WITHDRAWAL, 6)]
    assert history.breaches(replace(WITHDRAWN, consent="another")) == []


@pytest.mark.parametrize("refused_first", [True, False])
def test_permission_is_found_when_only_a_look_up_knew_of_the_withdrawal(
    history: History, recorder: FakeRecorder, *, refused_first: bool
) -> None:
    """The two processes write beside each other; positions compare, the order of pages does not."""
    look_ups = FakeRecorder(LOOK_UPS, process="lookup")
    writes = [
        lambda: history.write(look_ups, looked_up(refused(8)), mine=8),
        lambda: history.write(recorder, permitted(9), mine=9),
    ]
    for write in writes if refused_first else reversed(writes):
        write()
    assert [rule for rule, _ in history.breaches()] == [Rule.PERMITTED_AFTER_WITHDRAWAL]


def test_nothing_is_found_when_a_slower_process_permits_on_an_older_state(
    history: History, recorder: FakeRecorder
) -> None:
    look_ups = FakeRecorder(LOOK_UPS, process="lookup")
    history.write(look_ups, looked_up(refused(8)), mine=8)
    history.write(recorder, permitted(7), mine=7)
    assert history.breaches(WITHDRAWN) == []


@pytest.mark.parametrize("stands_at", [6, 8])
def test_record_is_found_when_it_rests_on_another_state_than_its_page(
    history: History, recorder: FakeRecorder, stands_at: int
) -> None:
    history.write(recorder, permitted(7), mine=stands_at)
    assert history.breaches() == [(Rule.NOT_ITS_PAGES_STATE, 1)]


def test_record_is_found_when_it_says_no_state_or_that_of_another_partition(
    history: History, recorder: FakeRecorder
) -> None:
    history.write(recorder, permitted(None), mine=7)
    history.write(recorder, permitted(5), mine=7, other=5)
    history.write(recorder, looked_up(permitted(5)), mine=7, other=5)
    found = [(Rule.NOT_ITS_PAGES_STATE, 1), (Rule.NOT_ITS_PAGES_STATE, 3)]
    assert history.breaches() == found, "of a look-up the partition is not known,"
    assert history.breaches(WITHDRAWN)[2:] == [(Rule.NOT_ITS_PAGES_STATE, 5)], "unless it is named"


def test_nothing_is_found_when_the_registry_records_acts_upon_the_consent(
    history: History, recorder: FakeRecorder
) -> None:
    registry = FakeRecorder(LOOK_UPS, process="lookup-consents")
    for kind in (RecordKind.CONSENT_GIVE, RecordKind.CONSENT_WITHDRAW):
        history.write(registry, replace(looked_up(permitted(None)), kind=kind), mine=0)
    history.write(recorder, permitted(7), mine=7)
    assert history.breaches(WITHDRAWN) == []


@pytest.mark.parametrize("place", ["mine", "other"])
def test_page_is_found_when_its_recorder_goes_back(
    history: History, recorder: FakeRecorder, place: str
) -> None:
    history.release(recorder, mine=7)
    history.write(recorder, **{"mine": 7, "other": 5, place: 4})
    assert history.breaches() == [(Rule.RECORDER_WENT_BACK, 1)]
    [breach] = examine(history.leaves).breaches
    partition, before = (MINE, 7) if place == "mine" else (OTHER, 5)
    assert breach.about == f"{STATE_CONSENT}[{partition}]: 4 after {before}"


def test_late_page_is_measured_as_the_older_one_when_it_comes_after_its_successor(
    history: History, recorder: FakeRecorder
) -> None:
    first, second = replace(recorder), replace(recorder, sequence=1)
    history.write(second, mine=7)
    history.write(first, mine=6)
    assert history.breaches() == []
    history.write(replace(recorder), mine=9)
    assert history.breaches() == [(Rule.RECORDER_WENT_BACK, 2)]


def test_successor_is_found_when_it_begins_before_the_page_that_it_closes(
    history: History, recorder: FakeRecorder
) -> None:
    history.release(recorder, mine=6)
    history.release(recorder, mine=8)
    history.write(recorder.successor(B), permitted(7), mine=7)
    assert history.breaches() == [(Rule.SUCCESSOR_WENT_BACK, 2)]


def test_nothing_is_found_when_a_zombie_writes_a_page_that_it_cannot_release(
    history: History, recorder: FakeRecorder
) -> None:
    """It decided before the withdrawal, or stands past where its successor began: both happen."""
    history.release(recorder, permitted(6), mine=6)
    successor = recorder.successor(B)
    history.release(successor, refused(8), mine=8)
    history.write(recorder, permitted(7), mine=7)
    history.write(recorder, refused(9), mine=9)
    history.release(successor, refused(8), mine=8)
    assert history.breaches(WITHDRAWN) == []


@pytest.mark.parametrize("claims_before", [True, False])
def test_zombie_is_found_when_it_claims_a_release_after_its_successor(
    history: History, recorder: FakeRecorder, *, claims_before: bool
) -> None:
    history.release(recorder, permitted(6), mine=6)
    successor = recorder.successor(B)
    if not claims_before:
        history.write(successor, mine=8)
    history.release(recorder, permitted(7), mine=7)
    history.write(recorder, mine=7)
    if claims_before:
        history.write(successor, mine=8)
    assert [rule for rule, _ in history.breaches(WITHDRAWN)] == [Rule.RELEASED_AFTER_SUCCESSOR]


def test_two_successors_are_sound_when_the_first_died_before_it_released(
    history: History, recorder: FakeRecorder
) -> None:
    history.release(recorder, permitted(6), mine=6)
    for name in ("b", "c"):
        history.write(recorder.successor(RecorderId(name * 32)), permitted(7), mine=7)
    assert history.breaches(WITHDRAWN) == []


def test_registry_may_record_what_becomes_of_a_consent_at_any_time(
    history: History, recorder: FakeRecorder
) -> None:
    registry = FakeRecorder(LOOK_UPS, process="lookup-consents")
    history.write(recorder, refused(8), mine=8)
    given = replace(permitted(None), kind=RecordKind.CONSENT_RENEW)
    history.write(registry, given, mine=0)
    assert history.breaches(WITHDRAWN) == []


def test_record_without_a_page_breaks_the_evidence() -> None:
    with pytest.raises(EvidenceBroken, match="leaf 4 is a record without a page"):
        examine([(4, permitted(1).encode())])


# --- the command ----------------------------------------------------------------------------------


def _home(tmp_path: Path, *pages: Page) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/ledger.vkey").write_text(f"{SIGNER.verifier}\n")
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(*pages))
    return tmp_path


def test_command_finds_the_breach_when_the_withdrawal_is_named(
    history: History, recorder: FakeRecorder, tmp_path: Path
) -> None:
    home = _home(tmp_path, history.write(recorder, permitted(8), mine=8))
    call = ["fences", "--home", str(home)]
    sound = CliRunner().invoke(app, call)
    assert (sound.exit_code, sound.stdout.splitlines()) == (
        0,
        [
            "1 pages, 1 permissions on a consent, 0 withdrawn consents.",
            "Nothing rests on a consent behind its withdrawal.",
        ],
    )
    named = tmp_path / "withdrawals.json"
    named.write_text(json.dumps([{"consent": CONSENT, "partition": MINE, "position": 8}]))
    broken = CliRunner().invoke(app, [*call, "--withdrawals", str(named), "--json"])
    told = json.loads(broken.stdout)
    assert (broken.exit_code, told["holds"]) == (1, False)
    assert Breach(**told["breaches"][0]) == Breach(
        rule=Rule.PERMITTED_AFTER_WITHDRAWAL, leaf=1, recorder=A, sequence=0, about=CONSENT
    )
    shown = CliRunner().invoke(app, [*call, "--withdrawals", str(named), "--lang", "vi"])
    assert "permitted-after-withdrawal" in shown.stdout


def test_released_page_is_named_when_it_was_closed(recorder: FakeRecorder) -> None:
    page = recorder.write()
    recorder.release(page)
    assert recorder.successor(B).closes == PageRef(recorder=A, sequence=0, hash=page.hash)


@pytest.mark.parametrize(
    "document", [b"", b"{}x", b"[1]", b'[{"consent": "c"}]', b'[{"consent": 1, "partition": 0}]']
)
def test_withdrawals_are_refused_when_they_are_malformed(document: bytes) -> None:
    with pytest.raises(Refused, match="withdrawals cannot be read"):
        read_withdrawals(document)
