"""PostgreSQL: on loopback with SCRAM, as an unprivileged user where we are root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import LiteralString

import psutil  # type: ignore[import-untyped]
import psycopg
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.tables import READER_ROLE as INDEX_ROLE
from civicbus_audit.vault import database as vault_database
from civicbus_audit.vault import tables as vault
from civicbus_consumers.consent.registry.tables import USES_ROLE
from civicbus_consumers.population.tables import READER_ROLE
from psycopg import sql

from civicbus_deploy.embedded import artifacts, secrets
from civicbus_deploy.embedded.failures import ServerFailed
from civicbus_deploy.embedded.machine import reaches, unprivileged_user
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.server import Ground
from civicbus_deploy.embedded.state import StateFolder, read_json, write_file

ADMIN = "postgres"
VAULT = "vault"
VAULT_LOGINS = (vault.RECORDER_ROLE, vault.READER_ROLE, vault.ERASER_ROLE)
# Database and the role that owns it: nothing of ours connects as the server's admin.
DATABASES = {"civicbus": "bus", "registry": "registry", VAULT: "vault"}
# The rooms that keep tables in `civicbus`, each as a role that owns its schemas and no other's.
ROOMS = ("indexing", "population", "lookup", "consent", "flags", "officers")
# Who may do in others' tables what a role may.
GUESTS = {"enforcement": USES_ROLE, "officers": INDEX_ROLE, "sealing": INDEX_ROLE}
ELSEWHERE = Path("/var/lib/civicbus")

_SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "60",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # statements may carry personal data
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",  # drops DETAIL, which quotes values of rows
}


def place(folder: StateFolder) -> Path:
    """Where the data lie: in H, or below /var/lib/civicbus where H cannot be reached.

    Only root meets the second case: PostgreSQL runs as another user, who cannot enter a home. What
    was chosen once stays, and is found by the folder's id: a folder may be moved or set aside.
    """
    here = folder.home / "postgres"
    elsewhere = ELSEWHERE / str(read_json(folder.stack_file)["id"])
    for chosen in (here, elsewhere):
        if (chosen / "data").exists():
            return chosen
    user = unprivileged_user()
    return here if user is None or reaches(user, folder.home) else elsewhere


class Postgres:
    """The relational store. Ready in two seconds from an empty folder."""

    name = "postgres"
    needs: tuple[str, ...] = ()
    start_timeout_s = 60.0

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._user = unprivileged_user()
        self._place = place(ground.folder)
        self._data = self._place / "data"
        self._port = ground.ports["postgres"]

    def prepare(self) -> ProcessSpec:
        """Unpack and verify the binaries, make the cluster once, and say how to start it.

        The binaries lie in the cache, or where another user than root can reach them.
        """
        self._place.mkdir(parents=True, exist_ok=True)
        self._place.chmod(0o711 if self._user else 0o700)
        (artifact,) = artifacts.committed(self.name)
        (archive,) = self._ground.parts[self.name]
        binaries = artifacts.unpacked(artifact, archive, into=self._parts(archive)) / "bin"
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._forget_dead_postmaster()
        settings = {**_SETTINGS, "port": str(self._port), "unix_socket_directories": ""}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return ProcessSpec(
            name=self.name,
            command=(str(binaries / "postgres"), "-D", str(self._data), *options),
            log=self._ground.folder.log(self.name),
            cwd=self._place,
            uid=self._user.uid if self._user else None,
            gid=self._user.gid if self._user else None,
            stop_signal=signal.SIGINT,  # fast shutdown: clients are cut off, nothing is lost
        )

    def _parts(self, archive: Path) -> Path:
        if self._user is None:
            return archive.parent
        parts = ELSEWHERE / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        for folder in (ELSEWHERE, parts):
            folder.chmod(0o755)
        return parts

    def _initialise(self, binaries: Path) -> None:
        """Make the cluster; a half-made one, left by a crash, is removed first."""
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        secrets.get_or_create(self._ground.folder.home, "postgres-admin")
        with tempfile.TemporaryDirectory(dir=self._place) as aside:
            password_file = Path(aside) / "password"
            password = secrets.read(self._ground.folder.home, "postgres-admin")
            write_file(password_file, password.encode())
            if self._user:
                for path in (self._data, Path(aside), password_file):
                    os.chown(path, self._user.uid, self._user.gid)
            done = subprocess.run(  # noqa: S603
                [
                    *(str(binaries / "initdb"), "-D", str(self._data), "-U", ADMIN),
                    *("--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={password_file}"),
                    *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256"),
                ],
                cwd=self._place,
                user=self._user.uid if self._user else None,
                group=self._user.gid if self._user else None,
                extra_groups=[] if self._user else None,
                capture_output=True,
                timeout=120,
                check=False,
            )
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise ServerFailed(
                "PostgreSQL's cluster could not be made",
                got=f"initdb ended with {done.returncode}",
                expected="0",
                next_step=f"check room and modes of {self._place}, then civicbus doctor",
            )

    def _forget_dead_postmaster(self) -> None:
        """Remove the pid file of a crashed machine: its pid may belong to a stranger by now.

        Never while a process still works in the data folder: the file is PostgreSQL's guard
        against two servers on the same data.
        """
        found = psutil.process_iter(["name", "cwd"])
        if not any(
            p.info["name"] == "postgres" and p.info["cwd"] == str(self._data) for p in found
        ):
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether the admin can connect."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def settle(self) -> None:
        """Make databases and roles; none is a superuser, and each room sees its own tables."""
        with self._connect() as connection:
            for database, role in DATABASES.items():
                make_database(connection, database, role=role, password=self._password(role))
            for role in (READER_ROLE, USES_ROLE, INDEX_ROLE):
                make_role(connection, role)
            for room in ROOMS:
                make_role(connection, room, password=self._password(room))
                _grant(connection, "create, connect on database civicbus", to=room)
                _grant(connection, room, to="bus")  # the operator may look into every room
            for room in ("lookup", "consent"):
                _grant(connection, READER_ROLE, to=room)
            for guest, role in GUESTS.items():
                make_role(connection, guest, password=self._password(guest))
                _grant(connection, "connect on database civicbus", to=guest)
                _grant(connection, role, to=guest)
            for login in VAULT_LOGINS:  # of no other database, and no room's or operator's
                make_role(connection, login, password=self._password(login))
                _grant(connection, "connect on database vault", to=login)
        folder = self._ground.folder
        with connect_admin(folder.home, self._port, database="civicbus") as connection:
            # once sealing filled the index itself; now it only reads it
            connection.execute("reassign owned by sealing to indexing")
            connection.execute("revoke create on database civicbus from sealing")
        for role in dict.fromkeys(("bus", *ROOMS, *GUESTS)):
            write_file(dsn_file(folder, role), self._dsn(role, "civicbus"))
        for role in (VAULT, *VAULT_LOGINS):
            write_file(vault_dsn_file(folder, role), self._dsn(role, VAULT))
        engine = make_engine(vault_dsn_file(folder, VAULT))
        try:
            vault_database.migrate(engine)  # its owner's, whom no process has
        finally:
            engine.dispose()

    def _dsn(self, role: str, database: str) -> bytes:
        return (
            f"postgresql://{role}:{self._password(role)}@{HOST}:{self._port}/{database}\n".encode()
        )

    def _password(self, role: str) -> str:
        secrets.get_or_create(self._ground.folder.home, f"postgres-{role}")
        return secrets.read(self._ground.folder.home, f"postgres-{role}")

    def _connect(self) -> psycopg.Connection:
        return connect_admin(self._ground.folder.home, self._port)


def connect_admin(home: Path, port: int, *, database: str = "postgres") -> psycopg.Connection:
    """A connection of the server's admin, in autocommit."""
    return psycopg.connect(
        host=HOST,
        port=port,
        user=ADMIN,
        password=secrets.read(home, "postgres-admin"),
        dbname=database,
        autocommit=True,
        connect_timeout=3,
    )


def dsn_file(folder: StateFolder, role: str) -> Path:
    """The file with the address of `civicbus` for a role: the operator's `bus`, or a room's."""
    return folder.secrets / f"postgres-{role}-dsn"


def vault_dsn_file(folder: StateFolder, role: str) -> Path:
    """The file with the vault's address for its owner, or for one of its logins."""
    return folder.secrets / f"{role.replace('_', '-')}-dsn"


def make_role(connection: psycopg.Connection, role: str, *, password: str | None = None) -> None:
    """Make a role unless it is there; without a password it is one to be a member of."""
    if connection.execute("select from pg_roles where rolname = %s", [role]).rowcount:
        return
    connection.execute(
        sql.SQL("create role {} {}").format(
            sql.Identifier(role),
            sql.SQL("login password {}").format(sql.Literal(password))
            if password
            else sql.SQL("nologin"),
        )
    )


def _grant(connection: psycopg.Connection, what: LiteralString, *, to: str) -> None:
    connection.execute(sql.SQL("grant {} to {}").format(sql.SQL(what), sql.Identifier(to)))


def make_database(
    connection: psycopg.Connection, database: str, *, role: str, password: str
) -> None:
    """Make role and database unless they are there; nobody else may connect to it."""
    make_role(connection, role, password=password)
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
    if not connection.execute("select from pg_database where datname = %s", [database]).rowcount:
        connection.execute(sql.SQL("create database {database} owner {role}").format(**names))
        connection.execute(
            sql.SQL("revoke connect on database {database} from public").format(**names)
        )
