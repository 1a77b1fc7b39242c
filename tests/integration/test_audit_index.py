"""The index on the real PostgreSQL: found, confirmed, rebuilt, and a dishonest DBA.

Beyond 300 lines: each test begins with the same ledger and database, and is short itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from civicbus_audit.cli import app
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.index import examining, filling
from civicbus_audit.index.database import make_engine, migrate
from civicbus_audit.index.examining import examine_index
from civicbus_audit.index.filling import fill, indexed_size, rebuild
from civicbus_audit.index.searching import Entry, confirm, confirm_complete, search
from civicbus_audit.index.tables import leaf, progress, recorder
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.query import Query
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.stored import StoredLog
from civicbus_schemas.errors import EvidenceBroken, Fatal, Refused, Unavailable
from civicbus_schemas.ids import AgencyId, Pin, RecorderId
from civicbus_schemas.subject import officer, person
from civicbus_schemas.vocabulary import Outcome, Reason
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from tests.campaign import Rounds
from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.fakes.vault import KEY_BYTES, fill_vault, secret_of
from tests.mutations import row_mutated
from tests.stack import Stack

pytestmark = pytest.mark.broker

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
KNOWN = (person(Pin("001324012345")), officer(AgencyId("bank"), "o-17"))
CHILD, OFFICER = (secret_of(subject).pseudonym for subject in KNOWN)


def story() -> list[PageMessage]:
    """Two incarnations of one process: leaves 0-3, 4-5, 6-7, then a notice and a page."""
    first = FakeRecorder(RecorderId("a" * 32))
    released = first.write(
        decision(subject=CHILD),
        decision(recipient="moh", minutes=1),
        decision(
            subject=CHILD,
            recipient="bank",
            outcome=Outcome.DENY,
            reason=Reason.NO_CONSENT,
            rule="a-rule",
            officer=OFFICER,
            minutes=2,
        ),
    )
    first.release(released)
    end = first.released
    aborted = first.write(decision(subject=CHILD, minutes=3))
    second = FakeRecorder(RecorderId("b" * 32), closes=end)
    unsettled = second.write(decision(subject=CHILD, minutes=4))
    second.sequence += 1  # a page is lost
    late = second.write(decision(recipient="moh", minutes=5))
    return messages(released, aborted, unsettled, late)


@pytest.fixture
def home(tmp_path: Path, stack: Stack) -> Path:
    """A state folder with the story sealed, and an empty database."""
    for name in ("keys", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/ledger.vkey").write_text(f"{SIGNER.verifier}\n")
    (tmp_path / "secrets/vault-key").write_text(f"{KEY_BYTES.hex()}\n")
    for name in ("postgres-indexing", "vault-reader"):
        (tmp_path / f"secrets/{name}-dsn").write_text(stack.create_database())
    fill_vault(tmp_path / "secrets/vault-reader-dsn", KNOWN)
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(story())
    return tmp_path


@pytest.fixture
def log(home: Path) -> StoredLog:
    return StoredLog(LedgerDirectory(home / "ledger").read, 11)


@pytest.fixture
def engine(home: Path, log: StoredLog) -> Iterator[Engine]:
    engine = make_engine(home / "secrets/postgres-indexing-dsn")
    migrate(engine)
    migrate(engine)
    assert fill(engine, log) == 11
    yield engine
    engine.dispose()


def found(engine: Engine, query: Query) -> list[int]:
    return [entry.index for entry in search(engine, query)]


def test_leaves_are_found_by_each_of_their_properties_when_they_are_indexed(engine: Engine) -> None:
    assert found(engine, Query(subject=CHILD)) == [7, 5, 3, 1]
    assert found(engine, Query(recipient="moh")) == [10, 2]
    assert found(engine, Query(officer=OFFICER)) == [3]
    assert found(engine, Query(case_id="c" * 32)) == [3]
    assert found(engine, Query(decision="deny")) == [3]
    assert found(engine, Query(reason="no-consent", actor="bank")) == [3]
    assert found(engine, Query(rule="a-rule")) == [3]
    assert found(engine, Query(kind="page")) == [9, 6, 4, 0]
    assert found(engine, Query(kind="log.gap")) == [8]
    assert found(engine, Query(purpose="health-insurance.enrol-child", limit=2)) == [10, 7]
    event = Query(event_id="e-1", before=7, basis="law.state-management")
    assert found(engine, event) == [5, 3, 2, 1]
    assert found(engine, Query(since=AT + timedelta(minutes=4))) == [10, 7]
    minutes = Query(since=AT + timedelta(minutes=1), until=AT + timedelta(minutes=3))
    assert found(engine, minutes) == [3, 2]
    assert found(engine, Query(agreement="vss.child-health-insurance@4")) == []
    assert found(engine, Query(dataset="x'; drop table leaf; --")) == []


def test_a_disclosure_says_what_became_of_it_when_later_pages_told(engine: Engine) -> None:
    releases = {entry.index: entry.release for entry in search(engine, Query(subject=CHILD))}
    assert releases == {1: "released", 3: None, 5: "aborted-may-have-been-seen", 7: "unsettled"}


def test_records_keep_their_page_when_they_are_indexed_in_small_batches(
    home: Path, *, log: StoredLog, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = search(engine, Query())
    monkeypatch.setattr(filling, "BATCH", 2)
    assert rebuild(home / "secrets/postgres-indexing-dsn", log) == 11
    assert search(engine, Query()) == everything
    assert {entry.page for entry in everything if entry.recorder == "b" * 32} == {0, 2}


def test_only_new_leaves_are_added_when_the_ledger_has_grown(
    home: Path, engine: Engine, log: StoredLog
) -> None:
    assert fill(engine, log) == 0
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        more = FakeRecorder(RecorderId("c" * 32)).write(decision())
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(more, start=4))
        assert fill(engine, ledger.log()) == 2
    assert indexed_size(engine) == 13


def test_a_leaf_of_an_unknown_kind_is_indexed_when_nobody_can_read_it(
    home: Path, engine: Engine
) -> None:
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append([b"from a later version"], [b""], position=4)
        fill(engine, ledger.log())
    (entry,) = search(engine, Query(kind="unreadable"))
    assert (entry.index, entry.at) == (11, None)


def test_the_index_is_refused_when_it_is_of_another_ledger(
    home: Path, engine: Engine, tmp_path: Path
) -> None:
    with Ledger.open(tmp_path / "other", origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append([b"x"] * 12, [b""] * 12, position=12)
        with pytest.raises(Refused, match="rebuild-index"):
            fill(engine, ledger.log())
    with pytest.raises(Refused):
        fill(engine, StoredLog(LedgerDirectory(home / "ledger").read, 10))


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "update leaf set recipient = 'vss' where index = 3",
        "update leaf set subject = null, hash = hash where index = 3",
        "update leaf set fields = '{}' where index = 3",
        "update leaf set hash = '\\x00' where index = 3",
        "update leaf set at = at + interval '1 second' where index = 3",
    ],
)
def test_an_altered_row_is_found_out_when_it_is_shown(
    engine: Engine, log: StoredLog, statement: str
) -> None:
    confirm(search(engine, Query(limit=100)), log)
    change(engine, statement)
    with pytest.raises(EvidenceBroken, match="leaf 3"):
        confirm(search(engine, Query(limit=100)), log)


def test_a_hidden_row_is_found_out_when_the_bundles_are_recounted(
    engine: Engine, log: StoredLog
) -> None:
    query = Query(subject=CHILD, kind="access.decision")
    assert not confirm_complete(search(engine, query), query, log, indexed=11)
    change(engine, "delete from leaf where index = 5")
    entries = search(engine, query)
    confirm(entries, log)
    with pytest.raises(EvidenceBroken, match="hides leaf 5"):
        confirm_complete(entries, query, log, indexed=11)
    assert confirm_complete(entries, query, log, indexed=5) == {5}


def examined(engine: Engine, log: StoredLog) -> list[tuple[str, int | None, tuple[str, ...]]]:
    return [(f.kind.value, f.leaf, f.columns) for f in examine_index(engine, lambda: log)]


def test_nothing_is_found_when_the_index_says_what_the_ledger_says(
    engine: Engine, log: StoredLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert examined(engine, log) == []
    monkeypatch.setattr(examining, "BATCH", 2)
    assert examined(engine, log) == []


def test_nothing_is_found_when_ledger_and_index_grow_while_they_are_examined(
    home: Path, engine: Engine
) -> None:
    def newest() -> StoredLog:
        with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
            more = FakeRecorder(RecorderId("c" * 32)).write(decision())
            Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(more, start=4))
            assert fill(engine, ledger.log()) == 2
            return ledger.log()

    assert list(examine_index(engine, newest)) == []
    assert indexed_size(engine) == 13


def test_nothing_is_found_when_the_index_is_only_behind(home: Path, log: StoredLog) -> None:
    engine = make_engine(home / "secrets/postgres-indexing-dsn")
    migrate(engine)
    assert examined(engine, log) == []
    engine.dispose()


ROW = "insert into leaf (index, hash, kind, fields) values ({}, '\\x00', 'page', '{{}}')"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("update leaf set recipient = 'vss' where index = 3", ("altered", 3, ("recipient",))),
        ("update leaf set fields = '{}' where index = 3", ("altered", 3, ("fields",))),
        ("update leaf set about = '\\x00' where index = 0", ("altered", 0, ("about",))),
        ("delete from leaf where index = 5", ("missing", 5, ())),
        ("delete from leaf where index = 10", ("missing", 10, ())),
        (ROW.format(11), ("invented", 11, ())),
        (ROW.format(-1), ("invented", -1, ())),
        ("update recorder set closed = not closed", ("recorders", None, ())),
        ("update recorder set released = 7", ("recorders", None, ())),
        ("delete from recorder", ("recorders", None, ())),
        ("update progress set root = '\\x00'", ("progress", None, ())),
        ("update progress set size = 12", ("progress", None, ())),
    ],
)
def test_what_a_dba_did_is_found_when_the_index_is_examined(
    engine: Engine, log: StoredLog, *, statement: str, fault: tuple[str, int | None, Any]
) -> None:
    change(engine, statement)
    assert examined(engine, log) == [fault]


@pytest.mark.crash
def test_every_mutation_of_a_row_is_found(
    engine: Engine, log: StoredLog, rounds: Rounds, seed: int
) -> None:
    """Twenty rows, each with another value in one column, or gone; a thousand in the campaign."""
    draw = Random(seed)  # noqa: S311
    for number in rounds.times(10, least=20):
        table = draw.choice([leaf, leaf, leaf, leaf, recorder, progress])
        with row_mutated(engine, table, draw=draw) as what:
            found = examined(engine, log)
        assert found, f"mutation {number} of seed {seed} was not found: {what}"
    assert examined(engine, log) == []


def test_the_index_is_made_anew_when_fsck_repairs_it(home: Path, engine: Engine) -> None:
    change(engine, "update leaf set recipient = 'vss' where index = 3")
    engine.dispose()
    found = run(home, "fsck", "--json")
    assert found.exit_code == 1
    assert [one["leaf"] for one in json.loads(found.stdout)["faults"]] == [3]
    repaired = run(home, "fsck", "--repair")
    assert (repaired.exit_code, "1 contradictions" in repaired.stdout) == (0, True)
    assert "0 contradictions" in run(home, "fsck").stdout


def test_tiles_are_made_anew_and_entries_never_when_fsck_repairs(
    home: Path, engine: Engine
) -> None:
    engine.dispose()
    tile, bundle = home / "ledger/tile/0/000.p/11", home / "ledger/tile/entries/000.p/11"
    whole = tile.read_bytes()
    tile.write_bytes(bytes(len(whole)))
    assert run(home, "fsck").exit_code == 1
    assert "1 tiles made anew" in run(home, "fsck", "--repair").stdout
    assert tile.read_bytes() == whole
    damaged = bundle.read_bytes().replace(b"moh", b"vss")
    bundle.write_bytes(damaged)
    broken = run(home, "fsck", "--repair")
    assert (broken.exit_code, "nothing was repaired" in broken.stderr) == (1, True)
    assert (tile.read_bytes(), bundle.read_bytes()) == (whole, damaged)


def test_the_database_is_unavailable_when_it_does_not_answer(tmp_path: Path) -> None:
    dsn = tmp_path / "dsn"
    dsn.write_text("postgresql://bus:secret@127.0.0.1:1/none")
    with pytest.raises(Unavailable) as unavailable:
        migrate(make_engine(dsn))
    assert "secret" not in str(unavailable.value)


def test_an_index_that_was_never_made_is_fatal_when_it_is_searched(home: Path) -> None:
    empty = make_engine(home / "secrets/postgres-indexing-dsn")
    with pytest.raises(Fatal, match="42P01"):
        search(empty, Query())
    empty.dispose()


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)])


def test_the_commands_tell_the_story_when_the_index_was_rebuilt(home: Path) -> None:
    assert run(home, "rebuild-index").stdout == "11 leaves indexed.\n"
    assert json.loads(run(home, "rebuild-index", "--json").stdout) == {"leaves": 11}
    told = json.loads(run(home, "who-read", "001324012345", "--json", "--recount").stdout)
    assert told["not_indexed"] == 0
    assert [(one["recipient"], one["release"]) for one in told["readings"]] == [
        ("vss", "unsettled"),
        ("vss", "aborted-may-have-been-seen"),
        ("vss", "released"),
    ]
    denied = json.loads(run(home, "who-read", "001324012345", "--json", "--denied").stdout)
    assert [one["recipient"] for one in denied] == ["vss", "vss", "bank", "vss"]
    table = run(home, "who-read", "001324012345", "--lang", "vi").stdout
    assert "bên nhận" in table
    found = json.loads(
        run(home, "search", "--officer", "o-17", "--agency", "bank", "--json").stdout
    )
    assert [one["reason"] for one in found] == ["no-consent"]
    assert "Nothing was found." in run(home, "search", "--agency", "mps").stdout
    assert "--before" in run(home, "search", "--limit", "1").stdout
    pin = CliRunner().invoke(app, ["who-read", "-", "--home", str(home)], input="001324012345\n")
    assert pin.exit_code == 0


def test_the_commands_exit_with_1_when_the_index_lies(home: Path, engine: Engine) -> None:
    change(engine, "update leaf set recipient = 'moh' where index = 1")
    result = run(home, "who-read", "001324012345")
    assert (result.exit_code, result.stdout) == (1, "")


def test_the_index_is_caught_when_it_hides_a_reading_from_a_proved_answer(
    home: Path, engine: Engine
) -> None:
    file = home / "readings.complete"
    asked = ("who-read", "001324012345", "--complete", str(file))
    told = run(home, *asked)
    assert (told.exit_code, f"The proof is in {file}." in told.stdout) == (0, True)
    assert run(home, *asked, "--as-citizen").exit_code == 0
    proof = json.loads(run(home, *asked, "--json").stdout)["proof"]
    assert (proof["holds"], proof["file"]) == (True, str(file))
    assert run(home, "verify", "--complete", str(file)).exit_code == 0
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        page = FakeRecorder(RecorderId("c" * 32)).write(decision(subject=CHILD))
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(page, start=4))
    assert json.loads(run(home, *asked, "--recount", "--json").stdout)["not_indexed"] == 1
    change(engine, "delete from leaf where index = 1")
    hidden = run(home, *asked)
    assert (hidden.exit_code, "the index hides leaf 1" in hidden.stderr) == (1, True)


def test_an_index_commit_is_a_row_when_an_hour_has_passed(home: Path, engine: Engine) -> None:
    page = FakeRecorder(RecorderId("c" * 32)).write(decision())
    later = [replace(m, at=AT + timedelta(hours=1)) for m in messages(page, start=4)]
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(later)
        assert fill(engine, ledger.log()) == 3
        assert found(engine, Query(kind="index.commit")) == [11]
        assert examined(engine, ledger.log()) == []


def test_an_entry_holds_no_bytes_when_it_is_shown(engine: Engine) -> None:
    entry: Entry = search(engine, Query(limit=1))[0]
    assert not any(isinstance(getattr(entry, name), bytes) for name in Entry.__slots__)
