"""Where the demo plays: a state folder of its own, a running stack, and the agencies' systems."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psycopg
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.searching import Entry, search
from civicbus_audit.places import Places
from civicbus_audit.query import Query
from civicbus_consumers.consent.fence import Fence, Passed
from civicbus_consumers.consent.registry.calls import REGISTRAR, call, shown_today
from civicbus_consumers.consent.registry.rows import Place
from civicbus_consumers.lookup.database import make_engine as make_lookup_engine
from civicbus_consumers.lookup.leases import LeaseHolders
from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.population.database import make_engine as make_view_engine
from civicbus_consumers.population.reading import read_person
from civicbus_consumers.population.tables import person
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_producers.kafka import client_config
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import Published
from civicbus_producers.settings import Connection
from civicbus_schemas.errors import Overdue, Refused
from civicbus_schemas.event import Event
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.subject import person as person_of
from civicbus_schemas.topics import AUDIT_PAGE
from civicbus_schemas.vocabulary import ConsentAct
from rich.console import Console
from sqlalchemy import Engine, func, select

from civicbus_deploy.embedded import java, lag, lifecycle
from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.ground import known_ports
from civicbus_deploy.embedded.state import StateFolder, write_json
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.kafka import AdminAccess
from civicbus_deploy.provisioning.nation import load_nation

MARKER = "demo.json"
WAIT_S = 120.0


class ForeignState(Refused):
    """The state folder is not a former demo's."""


def set_the_scene(folder: StateFolder, console: Console) -> Scene:
    """Set a former demo aside, and bring up a stack in an empty folder.

    Raises `ForeignState` when the folder holds anything else.
    """
    marker = folder.home / MARKER
    if folder.home.exists() and any(folder.home.iterdir()):
        if not marker.exists():
            raise ForeignState(
                "the state folder is not a former demo's",
                got=folder.home,
                expected="an empty folder, or none",
                next_step="name another one with --home",
            )
        lifecycle.down(folder, say=console.print)
        aside = folder.home.with_name(f"{folder.home.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        folder.home.rename(aside)
        console.print(f"a former demo's state was set aside in {aside}")
    folder.make()
    write_json(marker, {"begun": datetime.now(UTC).isoformat()})

    def provide(where: StateFolder) -> None:
        # what clients say of their connections is no part of the story
        logging.basicConfig(filename=where.log("demo"), level=logging.WARNING)
        provision(where.home)

    java.expect_a_short_life()
    lifecycle.up(folder, provision=provide, console=console, say=console.print)
    return Scene(folder)


@dataclass(frozen=True)
class Scene:
    """A running stack, and what the story does with it."""

    folder: StateFolder

    @cached_property
    def policy(self) -> PolicySet:
        """The nation's policy set."""
        return load_nation().policy

    @cached_property
    def places(self) -> Places:
        """Where ledger, index and keys are."""
        return Places.under(self.folder.home)

    def name_of(self, pin: Pin) -> LedgerPseudonym:
        """A person's name in records, about whom something is recorded."""
        with closing(self.places.vault()) as vault:
            return vault.find([person_of(pin)])[person_of(pin)].pseudonym

    @cached_property
    def _operator_dsn_file(self) -> Path:
        return Path(environment(self.folder)["postgres_dsn_file"])

    @cached_property
    def _index(self) -> Engine:
        return make_engine(self.places.dsn_file)

    @cached_property
    def access(self) -> AdminAccess:
        """The administrator's access to the broker."""
        env = environment(self.folder)
        return AdminAccess(
            bootstrap=env["bootstrap"],
            username=env["admin_user"],
            password_file=Path(env["admin_secret_file"]),
        )

    @cached_property
    def reader_config(self) -> dict[str, Any]:
        """librdkafka's settings for reading everything."""
        return client_config(self.access, client_id="books")

    @property
    def zipkin_url(self) -> str:
        """Where the traces are."""
        return environment(self.folder)["zipkin_url"]

    def connection(self, agency: str) -> Connection:
        """An agency's connection."""
        return Connection.read(self.folder.agencies / f"{agency}.json")

    def publisher(self, agency: str) -> Publisher:
        """An agency's publisher."""
        return Publisher.connect(agency, settings=self.connection(agency))

    def publish(self, agency: str, event: Event, subject: Pin) -> Published:
        """Publish one event and wait until it is durable."""
        with self.publisher(agency) as publisher:
            return publisher.publish(event, subject=subject).wait(timeout_s=30)

    def look_up(self, agency: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """One look-up with a fresh token: status and answer."""
        connection = self.connection(agency)
        if connection.token_key_file is None or connection.lookup_url is None:
            raise Refused(f"{agency} makes no look-ups")
        key, _ = read_signing_key(connection.token_key_file)
        token = make_token(AgencyId(agency), key, now=time.time())
        answer = httpx.post(
            f"{connection.lookup_url}/v1/lookups",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        return answer.status_code, answer.json()

    def consent(self, act: ConsentAct, body: Mapping[str, Any]) -> Place:
        """An act of the citizen's side, as VNeID calls the registry; where its event lies.

        Raises `Refused`, and `Overdue` where the bus was not told in time.
        """
        told: list[Place] = []

        def is_told() -> bool:  # what was done is answered again, and not done twice
            event = call(self.folder.home, REGISTRAR, act, body=body).document["event"]
            told.extend([] if event is None else [Place(**event)])
            return bool(told)

        self.wait(is_told, "the registry to tell the bus")
        return told[0]

    def shown(self, recipient: str, purpose: str) -> str:
        """The hash of the data agreement that VNeID shows a citizen today."""
        return shown_today(self.folder.home, recipient, purpose)

    def pass_fence(self, at: Place) -> Passed:
        """Wait until a consent event binds everywhere; from where on, and how long it took."""
        engine = make_lookup_engine(self._operator_dsn_file)
        fence = Fence(self.access, holders=[LeaseHolders(engine)])
        try:
            return fence.wait(at.topic, at.partition, at.offset, timeout_s=60)
        finally:
            fence.close()
            engine.dispose()

    def find(self, query: Query) -> list[Entry]:
        """Leaves of the ledger that match, as the index has them."""
        return search(self._index, query)

    def knows(self, pin: Pin, paths: Sequence[str]) -> bool:
        """Whether the population view holds a value at each of these paths about a person."""
        with psycopg.connect(self._operator_dsn_file.read_text().strip()) as connection:
            found = read_person(connection, pin)
        return found is not None and all(found.values[path] is not None for path in paths)

    def count_persons(self) -> int:
        """How many persons the population view holds."""
        engine = make_view_engine(self._operator_dsn_file)
        try:
            with engine.connect() as connection:
                return connection.scalar(select(func.count()).select_from(person)) or 0
        finally:
            engine.dispose()

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; raises `Overdue`."""
        deadline = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > deadline:
                raise Overdue(f"waited {WAIT_S:.0f} s for {what}", next_step="civicbus status")
            time.sleep(0.1)

    def backlog(self) -> dict[str, int]:
        """Messages that the bus's own processes have still to work on, by group."""
        rows = lag.measure(self.folder.home, known_ports(self.folder)["kafka"])
        behind: dict[str, int] = {}
        for row in rows:
            if row.recipient in (None, "npd") or row.topic == AUDIT_PAGE:
                behind[row.group] = behind.get(row.group, 0) + row.messages
        return behind

    def kill(self, process: str) -> int:
        """SIGKILL an own process; its supervisor starts a successor. The process's id."""
        now = lifecycle.supervision(self.folder)
        pid = int(now.processes[process]["pid"]) if now else 0
        if pid <= 0:
            raise Refused(f"{process} does not run")
        os.kill(pid, signal.SIGKILL)
        return pid

    def close(self) -> None:
        """Let go of connections; the stack stays up."""
        if "_index" in self.__dict__:
            self._index.dispose()

    def remember(self, totals: dict[str, Any]) -> None:
        """Keep the totals beside the marker."""
        path = self.folder.home / MARKER
        write_json(path, {**json.loads(path.read_bytes()), "totals": totals})
