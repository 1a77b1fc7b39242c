"""Provisioning on the real broker and registry: twice is once, and each principal's walls hold.

Every refusal is shown beside a control: the same call by, or on, what is allowed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from civicbus_consumers.runtime.trust import open_policy
from civicbus_deploy.agreements import cli as agreements
from civicbus_deploy.embedded.keys import policy_keys_file
from civicbus_deploy.provisioning import ProvisioningReport, cli, provision
from civicbus_deploy.provisioning.client_quotas import set_quotas
from civicbus_deploy.provisioning.compatibility import Incompatible
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import packaged_nation
from civicbus_deploy.provisioning.quotas import Quota
from civicbus_deploy.provisioning.steps import (
    Allow,
    Announce,
    ConfigureTopic,
    Limit,
    PositionLost,
    Register,
    Revoke,
    SetPassword,
    StartGroup,
    WriteConnection,
)
from civicbus_producers.registry import Registry
from civicbus_producers.settings import Connection
from civicbus_schemas.topics import AUDIT_PAGE, STATE_CONSENT, STATE_POLICY
from civicbus_schemas.vietnam.events import BirthRegistered
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic
from typer.testing import CliRunner

from tests.integration.provisioning_probes import (
    can_connect,
    commit,
    delete_grants,
    delete_group,
    ends,
    error_of,
    group_error,
    position_error,
    produce,
    read,
    read_error,
    set_config,
    transaction_error,
    write_error,
)
from tests.stack import DEADLINE_S, Stack

pytestmark = pytest.mark.broker

BIRTHS = "src.moj.civil-status.v1"
MINE, THEIRS = "dlv.vss.civil-status.v1", "dlv.mps.civil-status.v1"
DENIED_TOPIC = KafkaError.TOPIC_AUTHORIZATION_FAILED
DENIED_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED
DENIED_TRANSACTION = KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


@pytest.fixture(scope="module")
def site() -> Iterator[Stack]:
    """Servers of this module's own: what is proved here must not meet other tests' grants."""
    servers = Stack()
    try:
        yield servers.start()
    finally:
        servers.close()


@pytest.fixture(scope="module")
def first(site: Stack) -> ProvisioningReport:
    """The first run on an empty stack."""
    return provision(site.home)


@pytest.fixture
def provisioned(site: Stack, first: ProvisioningReport) -> Stack:
    """The stack as provisioning made it."""
    assert first.applied
    return site


@pytest.fixture
def breakable(provisioned: Stack) -> Iterator[Stack]:
    """The same; whatever the test breaks is mended after it."""
    yield provisioned
    provision(provisioned.home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployment's own copy of the nation."""
    copy = tmp_path / "vietnam"
    shutil.copytree(packaged_nation(), copy, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    return copy


# --- twice is once ---------------------------------------------------------------------------


def test_nothing_changes_and_it_says_so_when_provisioned_again(
    site: Stack, first: ProvisioningReport
) -> None:
    assert len(first.steps) > 100
    again = provision(site.home)
    assert again.steps == ()
    assert again.lines() == [f"nothing to change: policy {again.policy[:16]}… is in force"]
    assert ends(site, STATE_POLICY) == [1]


def test_a_plan_changes_nothing_when_it_is_asked_for(breakable: Stack) -> None:
    delete_grants(breakable, "vss")
    planned = provision(breakable.home, plan_only=True)
    assert {type(step) for step in planned.steps} == {Allow}
    assert planned.lines()[-1] == f"steps planned, none taken: {len(planned.steps)}"
    assert provision(breakable.home, plan_only=True).steps == planned.steps
    assert provision(breakable.home).steps == planned.steps


def test_only_the_damage_is_mended_when_parts_are_lost(breakable: Stack) -> None:
    (breakable.folder.secrets / "kafka-bank").unlink()
    (breakable.folder.agencies / "npd.json").unlink()
    breakable.grant("bank", AclOperation.READ, topic=BIRTHS)
    set_config(breakable, AUDIT_PAGE, "retention.ms", "1000")
    set_quotas(breakable.admin_access, [Quota(principal="bus-officers", bytes_s=1 << 40)])
    mended = provision(breakable.home).steps
    assert [type(step) for step in mended] == [
        ConfigureTopic, SetPassword, Limit, Revoke, WriteConnection,
    ]  # fmt: skip
    assert provision(breakable.home).steps == ()
    assert can_connect(breakable, "bank", DEADLINE_S)


def test_a_lost_position_is_set_anew_when_nothing_was_ever_published(breakable: Stack) -> None:
    delete_group(breakable, "consent-1")
    [step] = provision(breakable.home).steps
    assert isinstance(step, StartGroup)
    assert str(step) == "start group consent-1 at the beginning of 6 partitions"


def test_provisioning_refuses_when_a_lost_position_would_deliver_twice(
    breakable: Stack,
) -> None:
    topic = "src.vneid.consent.v1"
    produce(breakable, "vneid", topic, partition=0)
    delete_group(breakable, "consent-0")
    with pytest.raises(PositionLost, match=r"consent-0 has no position on src\.vneid\.consent"):
        provision(breakable.home)
    commit(breakable, "consent-0", topic, partition=0, offset=0)
    assert {type(step) for step in provision(breakable.home).steps} == {StartGroup}


def test_the_command_says_what_it_would_do_when_it_is_asked_for_a_plan(breakable: Stack) -> None:
    delete_grants(breakable, "bus-sealing")
    asked = ["--home", str(breakable.home), "--plan", "--json"]
    answer = json.loads(CliRunner().invoke(cli.app, asked).stdout)
    assert answer["applied"] is False
    assert answer["steps"] == [
        "allow: bus-sealing may read group sealing",
        "allow: bus-sealing may read topic audit.page.v1",
    ]


# --- what it made ----------------------------------------------------------------------------


def test_the_policy_in_force_is_read_when_a_process_asks(provisioned: Stack) -> None:
    [message] = read(provisioned, "bus-enforce", STATE_POLICY, group="enforce-0")
    assert message.key() == b"policy"
    policy = open_policy(message.value(), policy_keys_file(provisioned.folder))
    assert policy.version == provision(provisioned.home).policy


def test_a_reviewer_is_told_what_would_change_against_what_is_announced(
    provisioned: Stack, folder: Path
) -> None:
    asked = ["diff", "--home", str(provisioned.home), "--json"]
    same = json.loads(CliRunner().invoke(agreements.app, asked).stdout)
    in_force = {"policy": provision(provisioned.home).policy, "signed": True}
    assert (same["changes"], same["from"]) == ([], in_force)
    (folder / "agreements/vss.funeral-allowance.yaml").unlink()
    less = CliRunner().invoke(agreements.app, [*asked, "--nation", str(folder)])
    assert {change["kind"] for change in json.loads(less.stdout)["changes"]} == {"gone"}


def test_every_group_stands_at_the_beginning_when_topics_are_new(provisioned: Stack) -> None:
    consumer = Consumer(provisioned.client_config(group_id="enforce-1"))
    try:
        mine = [TopicPartition("src.identity.identity.v1", p) for p in (1, 3, 5, 7, 9, 11)]
        others = [TopicPartition("src.identity.identity.v1", p) for p in (0, 2)]
        assert {tp.offset for tp in consumer.committed(mine, timeout=DEADLINE_S)} == {0}
        assert {tp.metadata or "" for tp in consumer.committed(mine, timeout=DEADLINE_S)} == {""}
        assert all(tp.offset < 0 for tp in consumer.committed(others, timeout=DEADLINE_S))
    finally:
        consumer.close()


def test_publishers_find_their_schema_when_they_ask_the_registry(provisioned: Stack) -> None:
    registry = Registry(provisioned.registry_url)
    schema_id = registry.get_id(BIRTHS, BirthRegistered.contract.document)
    assert registry.get_document(schema_id) == BirthRegistered.contract.document


def test_an_agency_can_connect_with_its_file_when_it_was_provisioned(provisioned: Stack) -> None:
    publisher = Connection.read(provisioned.folder.agencies / "moj.json")
    assert publisher.families_published == ("civil-status", "criminal-record")
    assert len(publisher.topic_key()) == 32
    recipient = Connection.read(provisioned.folder.agencies / "vss.json")
    assert recipient.topic_key_file is None
    assert MINE in recipient.delivery_topics
    mode = (provisioned.folder.agencies / "vss.json").stat().st_mode & 0o777
    assert mode == 0o600


# --- another nation's folder -----------------------------------------------------------------


def test_nothing_is_touched_when_the_folder_is_refused(breakable: Stack, folder: Path) -> None:
    target = folder / "agreements/bank.customer-card.yaml"
    target.write_text(target.read_text().replace("holder.pin", "holder.salary"))
    with pytest.raises(InvalidNation, match=r"bank\.customer-card\.yaml:"):
        provision(breakable.home, folder)
    assert provision(breakable.home).steps == ()


def test_nothing_is_touched_when_a_contract_breaks_its_readers(
    breakable: Stack, folder: Path
) -> None:
    target = folder / "contracts/identity/PinIssued.avsc"
    document = json.loads(target.read_text())
    del document["fields"][-1]
    target.write_text(json.dumps(document))
    agreement = folder / "agreements/npd.identity.yaml"
    text = agreement.read_text().replace("version: 1", "version: 2")
    agreement.write_text(text.replace(", issued_at]", "]"))
    with pytest.raises(Incompatible, match="PinIssued"):
        provision(breakable.home, folder)
    assert provision(breakable.home).steps == ()


def test_a_new_version_is_registered_and_announced_when_an_agreement_changes(
    breakable: Stack, folder: Path
) -> None:
    target = folder / "agreements/mps.death-residence.yaml"
    text = target.read_text().replace("version: 1", "version: 2")
    target.write_text(text.replace("deceased.full_name, ", ""))
    [(draft, waiting)] = provision(breakable.home, folder, plan_only=True).drafts.items()
    assert (draft, waiting) == (
        "mps.death-residence@2", ["moj (provider)", "mps (data-protection)"],
    )  # fmt: skip
    for role in ("provider", "data-protection"):
        asked = ["approve", draft, "--as", role, "--nation", str(folder)]
        told = CliRunner().invoke(agreements.app, [*asked, "--home", str(breakable.home)])
        assert told.exit_code == 0, told.output
    assert "approved by mps (data-protection): by both now" in told.stdout
    changed = provision(breakable.home, folder)
    assert [type(step) for step in changed.steps] == [Register, Announce]
    assert "mps_death_residence_v2.DeathRegistered" in str(changed.steps[0])
    back = provision(breakable.home)
    assert [type(step) for step in back.steps] == [Announce]


# --- walls -----------------------------------------------------------------------------------


def test_an_agency_reads_its_own_deliveries_and_no_others(provisioned: Stack) -> None:
    assert read_error(provisioned, "vss", MINE, group="vss.main") is None
    assert read_error(provisioned, "vss", THEIRS, group="vss.main") == DENIED_TOPIC


@pytest.mark.parametrize("topic", [BIRTHS, f"{BIRTHS}.dlq", AUDIT_PAGE, STATE_CONSENT])
def test_an_agency_reads_neither_sources_nor_what_is_the_buss_own(
    provisioned: Stack, topic: str
) -> None:
    assert read_error(provisioned, "moj", "dlv.moj.criminal-record.v1", group="moj.x") is None
    assert read_error(provisioned, "moj", topic, group="moj.x") == DENIED_TOPIC


def test_an_agency_uses_its_own_groups_and_no_others(provisioned: Stack) -> None:
    assert group_error(provisioned, "vss", MINE, group="vss.main") is None
    assert group_error(provisioned, "vss", MINE, group="mps.main") == DENIED_GROUP
    assert group_error(provisioned, "vss", MINE, group="enforce-0") == DENIED_GROUP


@pytest.mark.parametrize(
    "topic", ["src.mps.residence.v1", THEIRS, AUDIT_PAGE, STATE_CONSENT, STATE_POLICY]
)
def test_an_agency_writes_to_its_own_sources_only(provisioned: Stack, topic: str) -> None:
    assert write_error(provisioned, "moj", BIRTHS) is None
    assert write_error(provisioned, "moj", topic) == DENIED_TOPIC


def test_a_recipient_publishes_nothing(provisioned: Stack) -> None:
    assert write_error(provisioned, "bank", "src.identity.identity.v1") == DENIED_TOPIC
    assert write_error(provisioned, "identity", "src.identity.identity.v1") is None


def test_recorders_write_pages_and_cannot_read_them(provisioned: Stack) -> None:
    assert write_error(provisioned, "bus-lookup", AUDIT_PAGE) is None
    assert read_error(provisioned, "bus-lookup", AUDIT_PAGE, group="lookup") == DENIED_TOPIC
    assert read_error(provisioned, "bus-enforce", AUDIT_PAGE, group="enforce-0") == DENIED_TOPIC
    assert read_error(provisioned, "bus-sealing", AUDIT_PAGE, group="sealing") is None
    assert write_error(provisioned, "bus-sealing", AUDIT_PAGE) == DENIED_TOPIC


def test_what_lies_unread_is_seen_without_a_place_in_a_recipients_group(
    provisioned: Stack,
) -> None:
    commit(provisioned, "vss.main", MINE, partition=0, offset=0)
    assert position_error(provisioned, "bus-unread", MINE, group="vss.main") is None
    assert read_error(provisioned, "bus-unread", MINE, group="unread") is None
    assert group_error(provisioned, "bus-unread", MINE, group="vss.main") == DENIED_GROUP
    assert group_error(provisioned, "bus-unread", MINE, group="unread") == DENIED_GROUP
    for topic in (BIRTHS, AUDIT_PAGE, STATE_CONSENT):
        assert read_error(provisioned, "bus-unread", topic, group="unread") == DENIED_TOPIC
    assert write_error(provisioned, "bus-unread", MINE) == DENIED_TOPIC
    for other in ("bus-officers", "bus-lookup"):  # who serve citizens
        assert read_error(provisioned, other, MINE, group="lookup") == DENIED_TOPIC


def test_consent_states_are_written_by_their_folder_only(provisioned: Stack) -> None:
    assert write_error(provisioned, "bus-consent", STATE_CONSENT) is None
    assert write_error(provisioned, "bus-enforce", STATE_CONSENT) == DENIED_TOPIC
    assert write_error(provisioned, "bus-consent", MINE) == DENIED_TOPIC


def test_nobody_takes_the_place_of_enforcement(provisioned: Stack) -> None:
    assert transaction_error(provisioned, "bus-enforce", "enforce-of-a-test") is None
    assert transaction_error(provisioned, "bus-consent", "enforce-of-a-test") == DENIED_TRANSACTION
    assert transaction_error(provisioned, "vss", "enforce-of-a-test") == DENIED_TRANSACTION


def test_no_agency_makes_topics(provisioned: Stack) -> None:
    def making_error(user: str) -> int | None:
        admin = AdminClient(provisioned.client_config(user))
        [future] = admin.create_topics([NewTopic(f"src.{user}.made.v1", 1, 1)]).values()
        return error_of(lambda: future.result(DEADLINE_S))

    assert making_error("admin") is None
    assert making_error("moj") == DENIED_TOPIC


def test_nobody_enters_with_a_wrong_password(provisioned: Stack) -> None:
    assert can_connect(provisioned, "vss", DEADLINE_S)
    assert not can_connect(provisioned, "vss", 3.0, sasl_password="guessed")
    assert not can_connect(provisioned, "vss", 3.0, sasl_username="nobody")
