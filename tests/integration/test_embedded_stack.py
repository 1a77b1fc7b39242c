"""The session's servers: users, ACLs, schemas and databases are real and closed by default."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import LiteralString

import httpx
import psycopg
import pytest
from civicbus_audit.index import database as index
from civicbus_audit.vault.tables import ERASER_ROLE, READER_ROLE, RECORDER_ROLE
from civicbus_consumers.consent.registry import database as consent
from civicbus_consumers.flags import database as flags
from civicbus_consumers.lookup import database as lookup
from civicbus_consumers.population import database as population
from civicbus_deploy.embedded.postgres import GUESTS, ROOMS, VAULT_LOGINS, vault_dsn_file
from civicbus_producers.ends import Place, read_high_watermarks, read_stable_ends
from civicbus_schemas.errors import Unavailable
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AclOperation
from psycopg.conninfo import make_conninfo

from tests.stack import DEADLINE_S, Stack

pytestmark = pytest.mark.broker


def _write(config: dict[str, object], topic: str) -> KafkaError | None:
    outcome: list[KafkaError | None] = []
    producer = Producer({**config, "message.timeout.ms": int(1000 * DEADLINE_S)})
    producer.produce(topic, b"value", on_delivery=lambda error, _message: outcome.append(error))
    producer.flush(DEADLINE_S)
    return outcome[0]


@pytest.mark.parametrize("read", [read_high_watermarks, read_stable_ends])
def test_ends_are_unknown_and_not_nothing_when_the_broker_is_silent(
    stack: Stack, read: Callable[..., dict[Place, int]]
) -> None:
    topic = f"embedded.ends.{read.__name__}"
    stack.create_topics(topic)
    assert _write(stack.client_config(), topic) is None
    admin = stack.admin()
    assert read(admin, [(topic, 0)], timeout_s=DEADLINE_S) == {(topic, 0): 1}
    with stack.paused("kafka"), pytest.raises(Unavailable):
        read(admin, [(topic, 0)], timeout_s=0.5)
    assert read(admin, [(topic, 0)], timeout_s=DEADLINE_S) == {(topic, 0): 1}


def test_every_partition_is_served_when_the_broker_is_said_to_be_ready_again(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack("kafka")
    topics = [f"embedded.many.{number}" for number in range(60)]
    stack.create_topics(*topics, partitions=12)
    stack.stop("kafka")
    stack.start("kafka")
    with closing(Consumer(stack.client_config(group_id="embedded"))) as consumer:
        for topic in topics:  # a consumer tells at once that whom it asks does not lead
            places = [TopicPartition(topic, number) for number in range(12)]
            ends = [consumer.get_watermark_offsets(place, DEADLINE_S) for place in places]
            assert ends == [(0, 0)] * 12


def test_user_writes_its_own_topic_only_when_acls_say_so(stack: Stack) -> None:
    stack.create_topics("embedded.mine", "embedded.theirs")
    stack.create_user("embedded-writer")
    stack.grant("embedded-writer", AclOperation.WRITE, topic="embedded.mine")
    config = stack.client_config("embedded-writer")
    assert _write(config, "embedded.mine") is None
    refused = _write(config, "embedded.theirs")
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_topic_is_not_created_when_it_is_only_named(stack: Stack) -> None:
    stack.create_user("embedded-namer")
    stack.grant("embedded-namer", AclOperation.ALL, topic="embedded.nowhere")
    stack.grant("embedded-namer", AclOperation.READ, group="embedded")
    consumer = Consumer(stack.client_config("embedded-namer", group_id="embedded"))
    assert "embedded.nowhere" not in consumer.list_topics(timeout=DEADLINE_S).topics
    consumer.close()


def test_registry_refuses_incompatible_schemas_by_default(stack: Stack) -> None:
    level = httpx.get(f"{stack.registry_url}/config").json()
    assert level["compatibilityLevel"] == "FULL_TRANSITIVE"


def test_role_of_the_processes_is_no_superuser_when_it_connects(stack: Stack) -> None:
    with psycopg.connect(stack.create_database()) as connection:
        row = connection.execute("select rolsuper from pg_roles where rolname = current_user")
        assert row.fetchone() == (False,)
        connection.execute("create extension pg_trgm")


@pytest.fixture(scope="module")
def rooms(stack: Stack) -> Stack:
    """The stack whose rooms have made their tables, each as its own role."""
    owned = {"indexing": index, "population": population, "lookup": lookup, "consent": consent}
    owned |= {"flags": flags}
    for room, tables in owned.items():
        engine = tables.make_engine(stack.dsn_file(room))
        tables.migrate(engine)
        engine.dispose()
    return stack


_VIEW, _PERSONS = "select from population.person_current", "select from population.person"
_LEAVES, _LEASES = "select from audit.leaf", "select from lookup.lease"
_USES, _UNSPEND = "select from consent.use", "delete from consent.use"
_HIDE = "delete from audit.leaf"
_FLAGS = "select from flags.flag"
_CHANGE = "update population.person set full_name = full_name"


@pytest.mark.parametrize(
    ("role", "statement", "allowed"),
    [
        ("lookup", _VIEW, True),
        ("lookup", _PERSONS, False),
        ("lookup", _CHANGE, False),
        ("lookup", _LEAVES, False),
        ("lookup", _LEASES, True),
        ("lookup", _FLAGS, False),
        ("flags", _FLAGS, True),
        ("flags", _LEAVES, False),
        ("flags", _PERSONS, False),
        ("population", _CHANGE, True),
        ("population", _LEAVES, False),
        ("population", _LEASES, False),
        ("consent", _VIEW, True),
        ("consent", _PERSONS, False),
        ("consent", _LEASES, False),
        ("consent", _UNSPEND, True),
        ("lookup", _USES, False),
        ("enforcement", _USES, True),
        ("enforcement", _UNSPEND, False),
        ("enforcement", _VIEW, False),
        ("indexing", _LEAVES, True),
        ("indexing", _HIDE, True),
        ("indexing", _VIEW, False),
        ("sealing", _LEAVES, True),
        ("sealing", _HIDE, False),
        ("sealing", _VIEW, False),
        ("sealing", _LEASES, False),
        *(("bus", statement, True) for statement in (_VIEW, _LEAVES, _LEASES, _USES)),
    ],
)
def test_room_reaches_its_own_tables_only(
    rooms: Stack, role: str, statement: LiteralString, allowed: bool
) -> None:
    """Least privilege per process: only look-ups see another's data, and only what readers may."""
    with psycopg.connect(rooms.dsn_file(role).read_text().strip()) as connection:
        refused = None
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            refused = error
        assert (refused is None) == allowed
        connection.rollback()


_FIND = "select from vault.secret"
_MAKE = """insert into vault.secret values
    (sha256('a'), sha256('b'), substring(sha256('c') for 16), now(), 'case')"""
_DESTROY, _RENAME = "delete from vault.secret", "update vault.secret set pseudonym = pseudonym"


@pytest.mark.parametrize(
    ("login", "allowed"),
    [
        (RECORDER_ROLE, {_FIND, _MAKE}),
        (READER_ROLE, {_FIND}),
        (ERASER_ROLE, {_FIND, _DESTROY}),
    ],
)
def test_login_of_the_vault_does_its_own_part_only(
    stack: Stack, login: str, allowed: set[LiteralString]
) -> None:
    """Nobody renames, no reader makes, and who records cannot destroy."""
    done = set()
    with psycopg.connect(vault_dsn_file(stack.folder, login).read_text().strip()) as connection:
        for statement in (_FIND, _MAKE, _DESTROY, _RENAME):
            try:
                connection.execute(statement)
                done.add(statement)
            except psycopg.errors.InsufficientPrivilege:
                pass
            connection.rollback()
    assert done == allowed


@pytest.mark.parametrize("role", ["bus", *ROOMS, *GUESTS])
def test_nobody_else_reaches_the_vault(stack: Stack, role: str) -> None:
    """Not the ledger's or the index's role, nor the operator's: each with its own password."""
    dsn = make_conninfo(stack.dsn_file(role).read_text().strip(), dbname="vault")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(dsn)


@pytest.mark.parametrize("login", VAULT_LOGINS)
def test_login_of_the_vault_reaches_nothing_else(stack: Stack, login: str) -> None:
    dsn = vault_dsn_file(stack.folder, login).read_text().strip()
    for database in ("civicbus", "registry"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(make_conninfo(dsn, dbname=database))
