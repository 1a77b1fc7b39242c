"""The life of an agreement on the real broker: what two signed binds, what one stops is stopped."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.runtime.process import EXIT_STOPPED
from civicbus_deploy.agreements import cli
from civicbus_deploy.agreements.acting import wait_for
from civicbus_deploy.embedded.own import ENFORCEMENT
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.announcing import POLICY_KEY
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.nation import packaged_nation
from civicbus_schemas.announcement import read_announced, seal_announcement
from civicbus_schemas.codec import unframe
from civicbus_schemas.errors import Overdue, Refused
from civicbus_schemas.page import Page, key_id
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE, STATE_POLICY
from civicbus_schemas.vocabulary import Reason, RecordKind
from confluent_kafka import Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from tests.bus import Bus, approve_drafts
from tests.lives import birth, child_pin
from tests.reconciliation import read_books
from tests.stack import DEADLINE_S

pytestmark = pytest.mark.broker

BIRTHS = "src.moj.civil-status.v1"
INSURANCE = "vss.child-health-insurance"
AT_VSS, AT_MOH = "dlv.vss.civil-status.v1", "dlv.moh.civil-status.v1"
STATISTICS = "moh.birth-statistics"  # its first version has expired


def say(bus: Bus, word: str, *options: str, role: str = "provider") -> dict[str, Any]:
    """An officer's word about the agreement, as its command."""
    return run(bus, word, INSURANCE, "--as", role, "--reason", "kiểm tra", *options)


def listed(bus: Bus) -> str:
    """What the agreement is by the announced set."""
    rows = run(bus, "list")["agreements"]
    [state] = [row["state"] for row in rows if row["agreement"].startswith(f"{INSURANCE}@")]
    return str(state)


def run(bus: Bus, *command: str) -> dict[str, Any]:
    """What a command about agreements answers programs."""
    arguments = [*command, "--home", str(bus.stack.home), "--json"]
    told = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def publish(bus: Bus, n: int) -> str:
    """Publish a birth; the event's id."""
    with bus.publisher("moj") as moj:
        return moj.publish(birth(n), subject=child_pin(n)).wait(DEADLINE_S).event_id


def reason_of(bus: Bus, event_id: str) -> Reason | None:
    """Why the insurance did not get this birth; None where it was permitted and delivered."""
    [reason] = reasons_of(bus, event_id, INSURANCE, AT_VSS)
    return reason


def reasons_of(bus: Bus, event_id: str, agreement: str, topic: str) -> set[Reason | None]:
    """What each version of an agreement says of a birth; None where it was delivered."""
    bus.wait(lambda: bus.is_drained(BIRTHS), "enforcement")
    books = read_books(bus, [topic])
    assert books.unrecorded() == []
    records = {
        id_: r.reason
        for id_, r in books.records.items()
        if r.event and r.event.id == event_id and r.agreement and r.agreement.id == agreement
    }
    reasons = set(records.values())  # a child's and its mother's record say the same
    assert (None in reasons) == any(line.record in records for line in books.delivered)
    return reasons


def test_an_agreement_is_stopped_and_resumed_behind_a_fence_when_its_party_says_so(
    bus: Bus,
) -> None:
    with bus.running("enforce-0"), bus.running("enforce-1"):
        assert reason_of(bus, publish(bus, 1)) is None
        stopped = say(bus, "suspend")
        assert (stopped["standing"], stopped["fence_s"] >= 0) == ("suspended", True)
        assert listed(bus) == "suspended"
        assert reason_of(bus, publish(bus, 2)) is Reason.AGREEMENT_SUSPENDED
        with pytest.raises(Refused, match="cannot be told to resume by mps"):
            say(bus, "resume", role="data-protection")
        assert say(bus, "resume")["standing"] == "approved"
        assert reason_of(bus, publish(bus, 3)) is None


def test_the_fence_waits_when_one_group_is_dead(bus: Bus) -> None:
    with bus.running("enforce-0"):
        with pytest.raises(Overdue, match="enforce-1 to go by policy"):
            say(bus, "suspend", "--timeout", "3", role="data-protection")
        with bus.running("enforce-1"):
            bus.wait(lambda: bus.is_ready("enforce-1"), "enforce-1 to be ready")
            assert say(bus, "resume", role="data-protection")["standing"] == "approved"
            assert reason_of(bus, publish(bus, 4)) is None


def test_an_agreement_from_the_past_binds_from_its_announcement_and_releases_nothing_in_arrears(
    bus: Bus, tmp_path: Path
) -> None:
    folder = tmp_path / "vietnam"
    shutil.copytree(packaged_nation(), folder, ignore=shutil.ignore_patterns("*.py*", "__py*"))
    former = folder / "agreements" / f"{STATISTICS}.yaml"
    text = former.read_text().replace("version: 1", "version: 2")
    days = "valid: {from: 2026-01-01, until: 2034-12-31}"
    text = re.sub(r"valid: .*", days, text)
    (folder / "agreements" / f"{STATISTICS}@2.yaml").write_text(text)
    with bus.running("enforce-0"), bus.running("enforce-1"):
        early = publish(bus, 6)
        assert reasons_of(bus, early, STATISTICS, AT_MOH) == {Reason.EXPIRED}
        approve_drafts(bus.stack.folder, folder)
        offset = provision(bus.stack.home, folder).offset
        assert offset is not None
        wait_for(Site.open(bus.stack.home), offset)
        later = publish(bus, 7)
        assert reasons_of(bus, later, STATISTICS, AT_MOH) == {None, Reason.EXPIRED}
        assert reasons_of(bus, early, STATISTICS, AT_MOH) == {Reason.EXPIRED}
    provision(bus.stack.home)


def test_provisioning_takes_nothing_back_when_it_runs_again(bus: Bus) -> None:
    say(bus, "suspend", "--no-wait")
    assert provision(bus.stack.home).steps == ()
    say(bus, "resume", "--no-wait")


def test_an_agreement_is_over_for_good_when_it_is_revoked(bus: Bus) -> None:
    with bus.running("enforce-0"), bus.running("enforce-1"):
        bus.wait(lambda: all(map(bus.is_ready, ENFORCEMENT)), "enforcement to be ready")
        assert say(bus, "revoke", role="data-protection")["standing"] == "revoked"
        assert reason_of(bus, publish(bus, 5)) is Reason.AGREEMENT_REVOKED
    with pytest.raises(Refused, match="cannot be told to resume"):
        say(bus, "resume", "--no-wait", role="data-protection")


def test_every_announcement_is_a_leaf_when_it_was_made(bus: Bus) -> None:
    """The record of a set is in the page topic before the set is in force, under its own hash."""
    recorded = [
        record.policy
        for message in bus.read_all(AUDIT_PAGE)
        for record in map(Record.decode, Page.decode(unframe(message.value())[1]).records)
        if record.kind is RecordKind.POLICY_SET
    ]
    announced = [
        hashlib.sha256(read_announced(message.value() or b"")).hexdigest()
        for message in bus.read_all(STATE_POLICY)
    ]
    assert recorded == announced
    assert len(announced) > 5


def test_every_group_stops_when_a_set_is_announced_by_somebody_else(bus: Bus) -> None:
    """Even the broker's administrator cannot bring a policy into force without the key."""
    [*_, newest] = bus.read_all(STATE_POLICY)
    policy, forger = read_announced(newest.value() or b""), Ed25519PrivateKey.generate()
    key = key_id(forger.public_key().public_bytes_raw())
    producer = Producer(bus.stack.client_config())
    forged = seal_announcement(policy, key=key, sign=forger.sign)
    producer.produce(STATE_POLICY, key=POLICY_KEY, value=forged)
    assert producer.flush(DEADLINE_S) == 0
    for name in ("enforce-0", "enforce-1"):
        with bus.running(name) as worker:
            assert worker.wait() == EXIT_STOPPED, worker.log.read_text()[-2000:]
            assert "not signed by who may announce it" in worker.log.read_text()
