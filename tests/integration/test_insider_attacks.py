"""What insiders do to a running stack, and which control finds it. The table is `tests/README.md`.

One broker, database and set of witnesses for all; each attack has a topic, a ledger and an index of
its own. Beyond 300 lines: whoever reads the table finds its rows in one place.
"""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.discarding import prune
from civicbus_audit.index.database import make_engine
from civicbus_audit.notice import NOTICE, Finding, Notice
from civicbus_audit.policy import format_policy
from civicbus_audit.pruning import PRUNER
from civicbus_audit.state import STATE, LedgerState
from civicbus_audit.stored import CHECKPOINT, StoredLog
from civicbus_audit.verify import verify_ledger
from civicbus_consumers.scrubbing.cli import app
from civicbus_consumers.scrubbing.rules import Comparison, Kind
from civicbus_consumers.sealing.source import SourceRegressed
from civicbus_deploy.provisioning.client_quotas import set_quotas
from civicbus_deploy.provisioning.quotas import Quota
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import EvidenceBroken, Refused
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import Page
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclOperation
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import REGISTRY
from sqlalchemy import text
from typer.testing import CliRunner

from tests.fakes.pages import KEY, FakeRecorder, bound, decision, keys_document
from tests.fakes.segments import edit_segments
from tests.fakes.witnesses import LOG, RunningWitness, running
from tests.integration.sealing_place import SealingPlace
from tests.integration.witnessed_place import (
    Witnessed,
    faults,
    forge,
    forget,
    policy_of,
    sealed,
)
from tests.ports import free_port
from tests.stack import DEADLINE_S, Stack, wait_until
from tests.unit.pruning_samples import prune_record

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def breakable() -> Iterator[Stack]:
    """Servers that may be stopped and whose disks may be edited."""
    servers = Stack(("kafka", "postgres"))
    try:
        yield servers.start()
    finally:
        servers.close()


@pytest.fixture
def place(breakable: Stack, tmp_path: Path) -> SealingPlace:
    return SealingPlace.create(breakable, tmp_path)


def pages(count: int) -> list[Page]:
    recorder = FakeRecorder(new_recorder_id())
    return [recorder.write(decision(subject=f"{n:032x}"), decision()) for n in range(count)]


def seal(place: SealingPlace, *sent: Page) -> None:
    place.send(*sent)
    with place.sealing():
        sealed(place, 3 * len(sent))


def test_a_record_edited_on_the_brokers_disk_is_found_before_and_after_it_was_sealed(
    place: SealingPlace, breakable: Stack
) -> None:
    """Row 1: the CRC fits, the page's signature does not; what was sealed differs from it."""
    late, unsealed = pages(3), pages(2)
    seal(place, *late)
    assert faults(place) == []
    place.send(*unsealed)
    breakable.stop("kafka")
    segments = breakable.home / "kafka" / "data" / f"{place.topic}-0"
    for page in (late[1], unsealed[1]):
        record = page.records[0]
        assert edit_segments(segments, record, record.replace(b"vss", b"moh")) == 1
    breakable.start("kafka")
    with place.sealing():
        sealed(place, 9 + 3 + 1)
    notice = Notice.decode(place.leaves()[-1])
    assert (notice.finding, notice.offset) == (Finding.RECORDS_DIFFER, 4)
    (found,) = faults(place)
    assert (found.kind, found.offset) == (Kind.MISSING, 1)


def test_messages_deleted_by_the_brokers_admin_are_missed_before_and_after_they_were_sealed(
    place: SealingPlace, breakable: Stack
) -> None:
    """Row 2: sealing goes on over what it has, says what is gone, and stops at what it lacks."""
    sent = pages(5)
    seal(place, *sent[:3])
    delete_records(breakable, place.topic, before=2)
    (found,) = faults(place)
    assert (found.kind, found.offset, found.why) == (Kind.GONE, 0, "up to offset 1")
    assert place.leaves() == [leaf for p in sent[:3] for leaf in (p.header, *p.records)]
    place.send(*sent[3:])
    delete_records(breakable, place.topic, before=4)
    with pytest.raises(SourceRegressed), place.sealing() as ended:
        wait_until(ended, what="sealing to stop")


def delete_records(stack: Stack, topic: str, *, before: int) -> None:
    admin = stack.admin()
    (future,) = admin.delete_records([TopicPartition(topic, 0, before)]).values()
    future.result(DEADLINE_S)


def test_pages_dropped_and_reordered_on_their_way_leave_a_gap_and_a_late_page(
    place: SealingPlace,
) -> None:
    """Row 3: whoever stands between recorder and broker cannot make the chain fit."""
    first, second, third = pages(3)
    place.send(first, third, second)
    with place.sealing():
        sealed(place, 9 + 2)
    notices = [Notice.decode(leaf).finding for leaf in place.leaves() if NOTICE.wrote(leaf)]
    assert notices == [Finding.GAP, Finding.LATE]
    assert faults(place) == []


def test_a_running_scrubber_raises_the_alarm_when_the_dba_edits_rows(place: SealingPlace) -> None:
    """Row 5, and the alarm itself: unready, with a metric, until the rows are made anew."""
    port = free_port()
    place.settle(health_port=port, scrub_hot_s=0.3, scrub_whole_s=0.3, scrub_share=1.0)
    place.send(*pages(2))
    with place.sealing():
        sealed(place, 6)
        wait_until(lambda: ask(port, "/readyz")[0] == 200, what="sealing to be ready")
        with edited(place) as connection:
            before = "update leaf set recipient = 'moh' where index = 1"
            connection.execute(text(before))
        wait_until(lambda: "index 1" in ask(port, "/readyz")[1], what="the alarm")
        assert 'civicbus_scrub_faults{comparison="index"} 1.0' in ask(port, "/metrics")[1]
        place.send(*pages(1))
        sealed(place, 9)  # what is derived is wrong; what is evidence goes on


@contextmanager
def edited(place: SealingPlace) -> Iterator[Any]:
    engine = make_engine(place.folder / "dsn")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with suppress(OSError):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    return 0, ""


@pytest.fixture(scope="module")
def witnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningWitness]]:
    with running(tmp_path_factory.mktemp("witnesses"), "w1.example", "w2.example") as both:
        yield both


@pytest.fixture
def witnessed(place: SealingPlace, witnesses: list[RunningWitness], tmp_path: Path) -> Witnessed:
    """A page sealed and cosigned by witnesses that knew nothing, a backup, and two pages more."""
    for witness in witnesses:
        forget(witness)
    (place.folder / "policy").write_bytes(format_policy(policy_of(witnesses)))
    place.settle(witness_policy_file=str(place.folder / "policy"), witness_warn_s=1.0)
    found = Witnessed(place, witnesses, tmp_path / "backup")
    first, *rest = pages(3)
    found.seal(first)
    shutil.copytree(place.ledger_dir, found.backup)
    found.seal(*rest)
    assert found.faults() == set()
    return found


def test_a_rewritten_history_gets_no_cosignature_when_root_signs_it_with_the_stolen_key(
    witnessed: Witnessed,
) -> None:
    """Rows 7 and 8: tiles, bundles, state and head made anew; only the witnesses remember."""
    state = LedgerState.decode((witnessed.ledger / STATE).read_bytes())
    leaves = StoredLog(LedgerDirectory(witnessed.ledger).read, state.size).leaves()
    other = [leaf.replace(b"vss", b"moh") for _, leaf in leaves]
    shutil.rmtree(witnessed.ledger)
    forge(witnessed.ledger, other, state)
    verify_ledger(LedgerDirectory(witnessed.ledger), LOG.verifier)
    assert Comparison.WITNESSES in witnessed.faults()
    assert_nothing_is_published(witnessed)


def test_a_rolled_back_ledger_is_found_when_root_puts_a_backup_in_its_place(
    witnessed: Witnessed,
) -> None:
    """Row 9: the backup verifies by itself; the witnesses hold more."""
    shutil.rmtree(witnessed.ledger)
    shutil.copytree(witnessed.backup, witnessed.ledger)
    verify_ledger(LedgerDirectory(witnessed.ledger), witnessed.policy)
    assert Comparison.WITNESSES in witnessed.faults()


def assert_nothing_is_published(witnessed: Witnessed) -> None:
    """Whoever demands the quorum sees no newer checkpoint, whatever sealing commits."""
    port = free_port()
    witnessed.place.settle(health_port=port)
    witnessed.place.send(*pages(1))
    with witnessed.place.sealing():
        wait_until(lambda: "no quorum" in ask(port, "/readyz")[1], what="the missing quorum")
    with pytest.raises(EvidenceBroken, match="too few witnesses"):
        verify_ledger(LedgerDirectory(witnessed.ledger), witnessed.policy)


def test_a_witness_whose_store_was_put_back_is_named(witnessed: Witnessed) -> None:
    """Row 10's first half: one witness in the operator's hands forgets; the other does not."""
    forget(witnessed.witnesses[0])
    (found,) = faults(witnessed.place)
    assert (found.comparison, "w1.example" in found.why) == (Comparison.WITNESSES, True)
    witnessed.seal(*pages(1))  # it begins anew with what it is shown
    assert witnessed.faults() == set()


def test_a_moved_position_is_found_when_root_lets_sealing_pass_over_a_page(
    place: SealingPlace,
) -> None:
    """Row 7 by another way: state.json is no evidence, so the topic is held against the leaves."""
    sent = pages(3)
    seal(place, *sent[:1])
    place.send(*sent[1:])
    state = LedgerState.decode((place.ledger_dir / STATE).read_bytes())
    (place.ledger_dir / STATE).write_bytes(replace(state, position=2).encode())
    with place.sealing():
        sealed(place, 3 + 1 + 3)  # behind a notice of the gap
    (found,) = faults(place)
    assert (found.kind, found.offset) == (Kind.MISSING, 1)


def test_a_flood_of_forged_pages_neither_hides_nor_stalls_an_honest_one(
    place: SealingPlace,
) -> None:
    """Row 20: all is kept aside and counted; the honest page behind it is sealed."""
    (honest,) = pages(1)
    with place.sealing():
        place.send(*(b"flood %d" % n for n in range(600)), honest)
        sealed(place, 603)
    assert place.leaves()[-3:] == [honest.header, *honest.records]
    assert faults(place) == []


def test_a_recorder_waits_and_another_is_sealed_when_the_first_floods_within_its_rights(
    place: SealingPlace, breakable: Stack
) -> None:
    """Row 20: four MB of well-signed pages at 16 kB a second would take minutes; nobody else waits.

    Without the quota the honest page, which is sent behind them, would stand behind them.
    """
    breakable.create_user("flooder")
    breakable.grant("flooder", AclOperation.WRITE, topic=place.topic)
    set_quotas(breakable.admin_access, [Quota(principal="flooder", bytes_s=16 * 1024)])
    recorder, waited = FakeRecorder(new_recorder_id()), list[float]()
    flood = [recorder.write(*[decision()] * 100) for _ in range(130)]
    flooder = Producer(
        breakable.client_config("flooder")
        | {"throttle_cb": lambda told: waited.append(told.throttle_time), "log_level": 0}
    )
    for page in flood:
        flooder.produce(place.topic, frame(7, page.encode()), partition=0)
    wait_until(lambda: flooder.poll(0.05) >= 0 and bool(waited), what="the broker to throttle it")
    (honest,) = pages(1)

    def is_sealed() -> bool:
        return place.size() > 0 and honest.header in place.leaves()

    with place.sealing():
        place.send(honest)
        wait_until(is_sealed, what="the honest page to be sealed")
    assert waited[0] > 0
    assert len(flooder) > 0, "the flood has not come to its end"
    assert flood[-1].header not in place.leaves()
    flooder.purge()


def test_a_pruning_is_no_leaf_when_enforcements_key_signs_it_in_oversights_name(
    place: SealingPlace,
) -> None:
    """Row 21: by the signature alone it would be one; the name is not one of that key.

    The same page by the key that has the name is sealed, so it is the name that counts.
    """
    oversight = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
    keys = bound(KEY, "enforce-0") | bound(oversight, PRUNER)
    (place.folder / "recorders.json").write_text(json.dumps(keys_document(keys)))
    port, before = free_port(), foreign_pages()
    place.settle(health_port=port)
    (honest,), said = pages(1), prune_record(1, bytes(32))
    forged = FakeRecorder(new_recorder_id(), process=PRUNER).write(said)
    with place.sealing():
        place.send(honest, forged)
        sealed(place, 3 + 1)
        alarm = f'civicbus_sealing_findings_total{{finding="foreign-process"}} {before + 1}'
        wait_until(lambda: alarm in ask(port, "/metrics")[1], what="the finding to be told")
    *leaves, last = place.leaves()
    assert leaves == [honest.header, *honest.records]
    notice = Notice.decode(last)
    assert (notice.finding, notice.offset) == (Finding.FOREIGN_PROCESS, 1)
    kept = (place.ledger_dir / "quarantine" / notice.content).read_bytes()
    assert kept == frame(7, forged.encode())
    with pytest.raises(Refused, match="no published leaf"):
        prune(place.ledger_dir, trust=LOG.verifier)
    assert faults(place) == []
    by_its_own = FakeRecorder(new_recorder_id(), process=PRUNER, signer=oversight).write(said)
    with place.sealing():
        place.send(by_its_own)
        sealed(place, 4 + 2)
    assert place.leaves()[4:] == [by_its_own.header, *by_its_own.records]


def foreign_pages() -> float:
    """How many pages under foreign names sealing has told of in this process."""
    labels = {"finding": Finding.FOREIGN_PROCESS.value}
    return REGISTRY.get_sample_value("civicbus_sealing_findings_total", labels) or 0.0


def test_the_command_names_what_was_edited_and_exits_with_1(
    place: SealingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`civicbus scrub` in a state folder, as an operator runs it."""
    monkeypatch.setattr("civicbus_consumers.scrubbing.cli.AUDIT_PAGE", place.topic)
    seal(place, *pages(2))
    home = place.folder
    for name in ("keys", "processes", "secrets"):
        (home / name).mkdir()
    (home / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    (home / "processes/sealing.json").write_text((home / "sealing.json").read_text())
    (home / "secrets/postgres-indexing-dsn").write_text((home / "dsn").read_text())
    well = CliRunner().invoke(app, ["--home", str(home), "--json"])
    assert (well.exit_code, json.loads(well.stdout)["holds"]) == (0, True)
    with edited(place) as connection:
        connection.execute(text("delete from leaf where index = 2"))
    broken = CliRunner().invoke(app, ["--home", str(home)])
    assert (broken.exit_code, "missing" in broken.stdout) == (1, True)
    assert (place.ledger_dir / CHECKPOINT).exists()
