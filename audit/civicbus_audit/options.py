"""The options that commands share, the files named in them, and the exit codes all of them keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Never

import typer
from civicbus_schemas.errors import BusError, EvidenceBroken, InvalidBytes, Refused

from civicbus_audit.presenting import Language, as_json, err, out

EVIDENCE_BROKEN, USAGE, UNREACHABLE = 1, 2, 3

HOME = Path(".civicbus")

Home = Annotated[Path, typer.Option(envvar="CIVICBUS_HOME", help="The state folder.")]
Ledger = Annotated[
    Path | None, typer.Option("--ledger", help="The ledger's folder, if not HOME/ledger.")
]
Vkey = Annotated[
    Path | None, typer.Option(help="The log's verifier key, if not HOME/keys/ledger.vkey.")
]
Policy = Annotated[
    Path | None,
    typer.Option(help="Whose cosignatures to demand, if not HOME/keys/audit-policy's."),
]
DsnFile = Annotated[
    Path | None,
    typer.Option(help="The database's address, if not HOME/secrets/postgres-indexing-dsn."),
]
VaultKeyFile = Annotated[
    Path | None, typer.Option("--vault-key", help="The vault's key, if not HOME/secrets/vault-key.")
]
VaultDsnFile = Annotated[
    Path | None,
    typer.Option(help="The vault's address, if not HOME/secrets/vault-reader-dsn."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON instead of tables.")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="How many processes; one for each core if not said.")
]
Lang = Annotated[
    Language, typer.Option(envvar="CIVICBUS_LANG", help="The language of headings: vi or en.")
]


def read_file(file: Path) -> bytes:
    """A file that the user named; raises `Refused`."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read", got=type(error).__name__) from None


def write_file(file: Path, data: bytes) -> None:
    """Writes a file that the user named; raises `Refused`."""
    try:
        file.write_bytes(data)
    except OSError as error:
        raise Refused(f"{file} cannot be written", got=type(error).__name__) from None


@contextmanager
def exit_codes(*, json: bool) -> Iterator[None]:
    """Turns our errors into a line on stderr (or an object on stdout) and an exit code."""
    try:
        yield
    except (EvidenceBroken, InvalidBytes) as error:
        _fail(error, EVIDENCE_BROKEN, json=json)
    except Refused as error:
        _fail(error, USAGE, json=json)
    except BusError as error:
        _fail(error, UNREACHABLE, json=json)


@contextmanager
def needs_index() -> Iterator[None]:
    """Says what to install where the extra `ledger` is not."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Refused(
            "the index and the vault need more than is installed",
            got=f"no module {error.name}",
            next_step="install civicbus-audit[ledger]",
        ) from None


def _fail(error: BusError, code: int, *, json: bool) -> Never:
    if json:
        name = type(error).__name__
        out.out(as_json({"holds": False, "error": name, "message": str(error)}), highlight=False)
    else:
        err.print(str(error), style="red", markup=False, highlight=False)
    raise typer.Exit(code)
