"""`civicbus-audit serve`."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from civicbus_audit import options
from civicbus_audit.directory import read_below
from civicbus_audit.options import Home, Lang, Policy, Vkey, exit_codes
from civicbus_audit.places import Places
from civicbus_audit.presenting import Language, err, say


def serve(
    *,
    host: Annotated[str, typer.Option(help="Where to listen; a proxy brings TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8700,
    token_file: Annotated[
        Path | None, typer.Option(help="A file of mode 600: who brings its token may read leaves.")
    ] = None,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    lang: Lang = Language.EN,
) -> None:
    """Serve checkpoint, tiles and proofs over HTTP until told to end (SIGTERM)."""
    from civicbus_audit.serving.answers import Answering
    from civicbus_audit.serving.server import listen, read_token

    with exit_codes(json=False):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        token = None if token_file is None else read_token(token_file)
        answering = Answering(partial(read_below, places.ledger_dir), places.trust())
        server = listen(host, port, answering, token=token)
    for number in (signal.SIGTERM, signal.SIGINT):
        # from another thread: `shutdown` waits for the loop, which this handler interrupts
        signal.signal(number, lambda *_: Thread(target=server.shutdown).start())
    with server:
        address = f"http://{host}:{server.server_port}"
        err.print(say("serving", lang, address=address), highlight=False)
        server.serve_forever(poll_interval=0.1)
