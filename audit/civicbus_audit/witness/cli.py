"""`civicbus-audit witness`: make a witness's key, and run the witness."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from civicbus_schemas.errors import Refused, Unavailable

from civicbus_audit.command_line import CommandLine
from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.durable import PosixFiles
from civicbus_audit.note import Verifier
from civicbus_audit.options import exit_codes
from civicbus_audit.presenting import out
from civicbus_audit.serving.server import read_token
from civicbus_audit.witness.keys import make_key, read_key
from civicbus_audit.witness.mirror import Mirror
from civicbus_audit.witness.service import WitnessServer
from civicbus_audit.witness.source import HttpTiles
from civicbus_audit.witness.store import WitnessStore
from civicbus_audit.witness.witness import Copying, NullCopying, Witness

app = CommandLine(
    name="witness",
    help="Watch a log, and cosign what continues it.",
    no_args_is_help=True,
)

KeyFile = Annotated[Path, typer.Option("--key", help="The witness's private key (PEM, mode 600).")]
Name = Annotated[str, typer.Option(help="The witness's name in its cosignatures, such as a URL.")]


@app.command()
def key(*, key_file: KeyFile, name: Name) -> None:
    """Make a witness's key if it has none, and print its verifier key."""
    with exit_codes(json=False):
        if not key_file.exists():
            make_key(key_file)
        out.out(str(CosignatureSigner(name, read_key(key_file)).cosigner), highlight=False)


@app.command()
def run(
    *,
    key_file: KeyFile,
    name: Name,
    log: Annotated[list[Path], typer.Option(help="A log's verifier key; may be repeated.")],
    store: Annotated[Path, typer.Option(help="The SQLite file of what was cosigned.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 0,
    mirror: Annotated[
        Path | None, typer.Option(help="Hold a full copy of the one log in this folder.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where `serve` gives the log's tiles.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="The token for its leaves.")] = None,
) -> None:
    """Answer add-checkpoint (C2SP tlog-witness) until ended."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    with exit_codes(json=False):
        logs = {vkey.name: vkey for vkey in map(_read_vkey, log)}
        witness = Witness(
            signer=CosignatureSigner(name, read_key(key_file)),
            logs=logs,
            store=WitnessStore(store),
            copying=_copying(mirror, logs, source=source, token_file=token_file),
        )
        serve(witness, host=host, port=port)


def _copying(
    folder: Path | None,
    logs: Mapping[str, Verifier],
    *,
    source: str | None,
    token_file: Path | None,
) -> Copying:
    if folder is None:
        if source or token_file:
            raise Refused("only a mirror reads a source", expected="--mirror FOLDER beside them")
        return NullCopying()
    if source is None or token_file is None or len(logs) != 1:
        raise Refused("a mirror needs more", expected="one --log, --source and --token-file")
    (log,) = logs.values()
    tiles = HttpTiles(source, token=read_token(token_file))
    return Mirror(PosixFiles(folder), tiles.read, log=log)


def serve(witness: Witness, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; what is under way ends first."""
    try:
        server = WitnessServer(witness, host=host, port=port)
    except OSError as error:
        raise Unavailable(f"cannot listen on {host}:{port}", got=type(error).__name__) from None

    def end(_number: int, _frame: object) -> None:
        # from a thread of its own: shutdown waits for the loop that this handler interrupts
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    out.out(f"{witness.signer.cosigner} http://{host}:{server.server_port}", highlight=False)
    server.serve_forever()
    server.server_close()
    witness.store.close()


def _read_vkey(file: Path) -> Verifier:
    try:
        return Verifier.parse(file.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read", got=type(error).__name__) from None
    except Refused as error:
        raise Refused(f"{file}: {error}") from None
