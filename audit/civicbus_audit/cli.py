"""The command `civicbus-audit`: verify, fences, prove, serve, search, who-read, witness, rebuild-….

Exit codes: 0 it holds, or it was done · 1 the evidence is broken · 2 wrong usage · 3 ledger or
database cannot be reached. Only search, who-read and rebuild-index need a database and an extra.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_schemas.errors import Refused
from civicbus_schemas.record import RECORD, Record

from civicbus_audit import options, quorum, restoring
from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.command_line import CommandLine
from civicbus_audit.completeness.verifying import verify_complete
from civicbus_audit.completing import prove_complete_command, tell_complete
from civicbus_audit.crew import Crew, crew_of
from civicbus_audit.evidence.command import export_records
from civicbus_audit.examining import fences
from civicbus_audit.finding import find_record
from civicbus_audit.index.commands import commands as index_commands
from civicbus_audit.index.fsck import fsck
from civicbus_audit.memory import Memory
from civicbus_audit.options import (
    AsJson,
    Home,
    Lang,
    Policy,
    Vkey,
    exit_codes,
    read_file,
    write_file,
)
from civicbus_audit.places import Places
from civicbus_audit.presenting import (
    LOCAL_TIME,
    Language,
    as_json,
    facts,
    out,
    pace,
    say,
    show,
)
from civicbus_audit.proof import format_proof
from civicbus_audit.pruning import find_pruning, open_log
from civicbus_audit.pruning_command import prune, pruned_document, tell_pruning
from civicbus_audit.quorum import Trust
from civicbus_audit.serving.command import serve
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_ledger, verify_prefix, verify_proof
from civicbus_audit.witness.cli import app as witness_app

app = CommandLine(
    name="civicbus-audit",
    help="Find, prove and verify what the ledger of CivicBus tells.",
    no_args_is_help=True,
)


@app.command()
def verify(
    ledger_dir: Annotated[Path | None, typer.Argument(help="The ledger's folder.")] = None,
    *,
    proof: Annotated[Path | None, typer.Option(help="Check this .tlog-proof instead.")] = None,
    leaf: Annotated[Path | None, typer.Option(help="The leaf, if the proof lacks it.")] = None,
    complete: Annotated[
        Path | None, typer.Option(help="Check this proof of completeness instead.")
    ] = None,
    older: Annotated[
        Path | None, typer.Option(help="An older checkpoint that must be a prefix.")
    ] = None,
    processes: options.Processes = None,
    home: Home = options.HOME,
    vkey: Vkey = None,
    policy: Policy = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Check the whole ledger, one proof, or that the ledger continues an older checkpoint."""
    with exit_codes(json=json):
        if (proof or complete) and (ledger_dir or older or (proof and complete)):
            raise Refused("a proof is checked by itself", expected="either a proof or a ledger")
        places = Places.under(home, ledger_dir=ledger_dir, vkey_file=vkey, policy_file=policy)
        if complete:
            told = verify_complete(read_file(complete), places.trust())
            tell_complete(told, json=json, lang=lang)
        elif proof:
            _verify_proof(proof, places.trust(), leaf=leaf, json=json, lang=lang)
        else:
            with crew_of(processes) as crew:
                checkpoint = _verify_ledger(places, crew=crew, lang=lang)
            _tell_ledger(places, checkpoint, older=older, json=json, lang=lang)


@app.command()
def prove(
    record: Annotated[str, typer.Argument(help="A record's id (32 hex), or a leaf's number.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The proof's file; - is stdout.")
    ] = None,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Write a C2SP tlog-proof of one leaf, which anybody can check offline with `verify`."""
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        trust, directory = places.trust(), places.directory()
        checkpoint, note = published(directory, trust)
        log = open_log(directory.read, checkpoint.size)
        index = _find_leaf(log, record)
        data = format_proof(log.prove(index, checkpoint=note))
        verify_proof(data, trust)
        file = output or Path(f"{record}.tlog-proof")
        if str(file) == "-":
            sys.stdout.buffer.write(data)
            return
        write_file(file, data)
        told = {"file": str(file), "index": index, "size": checkpoint.size}
        out.out(as_json(told) if json else say("proof-written", lang, **told), highlight=False)


@app.command()
def rebuild_state(
    *,
    position: Annotated[
        int, typer.Option(min=0, help="The first offset that the page topic still has.")
    ] = 0,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Make a lost state.json anew from the verified ledger; sealing must not run."""
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        trust = places.trust()
        size = published(places.directory(), trust)[0].size
        with pace(say("verifying", lang), 2 * size) as advance:
            state = restoring.rebuild_state(
                places.ledger_dir, trust=trust, position=position, on_progress=advance
            )
        recorders = len(Memory.from_json(state.memory).chains.ends)
        told = {"size": state.size, "recorders": recorders, "position": state.position}
        out.out(as_json(told) if json else say("state-rebuilt", lang, **told), highlight=False)


app.command("prove-complete")(prove_complete_command)
for command in (fences, *index_commands, fsck, prune, serve):
    app.command()(command)
app.command("export")(export_records)
app.add_typer(witness_app)


def _verify_ledger(places: Places, *, crew: Crew, lang: Language) -> Checkpoint:
    trust, directory = places.trust(), places.directory()
    size = published(directory, trust)[0].size
    with pace(say("verifying", lang), 2 * size) as advance:
        return verify_ledger(directory, trust, on_progress=advance, crew=crew)


def _tell_ledger(
    places: Places, checkpoint: Checkpoint, *, older: Path | None, json: bool, lang: Language
) -> None:
    trust, directory = places.trust(), places.directory()
    told: dict[str, Any] = {
        "holds": True,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }
    pruning = find_pruning(directory.read, checkpoint.size)
    if pruning:
        told["pruned"] = pruned_document(pruning)
    if isinstance(trust, quorum.Policy):
        told["cosigned_at"] = _cosigned_at(published(directory, trust)[1], trust)
    if older:
        told["older_size"] = verify_prefix(directory, trust, older=read_file(older)).size
    if json:
        out.out(as_json(told), highlight=False)
        return
    out.out(say("ledger-holds", lang, **told), highlight=False)
    if pruning:
        tell_pruning(pruning, lang)
    for name, at in told.get("cosigned_at", {}).items():
        out.out(say("cosigned", lang, name=name, at=at.astimezone(LOCAL_TIME)), highlight=False)
    if older:
        out.out(say("prefix-holds", lang, size=told["older_size"]), highlight=False)


def _cosigned_at(note: bytes, policy: quorum.Policy) -> dict[str, datetime]:
    """When each witness said that this checkpoint was the newest that it had seen."""
    times_s = quorum.open_cosigned(note, policy).times_s
    return {name: datetime.fromtimestamp(at, UTC) for name, at in sorted(times_s.items())}


def _verify_proof(
    file: Path, trust: Trust, *, leaf: Path | None, json: bool, lang: Language
) -> None:
    proved = verify_proof(read_file(file), trust, leaf=read_file(leaf) if leaf else None)
    told = {
        "holds": True,
        "origin": proved.checkpoint.origin,
        "index": proved.index,
        "size": proved.checkpoint.size,
    }
    content = _content(proved.leaf)
    if json:
        out.out(as_json(told | {"record": content}), highlight=False)
        return
    out.out(say("proof-holds", lang, **told), highlight=False)
    show(facts(content, lang))


def _content(leaf: bytes) -> dict[str, Any]:
    """What a record says, for people; nothing for leaves of other kinds."""
    if not RECORD.wrote(leaf):
        return {}
    record = Record.decode(leaf)
    return {
        "id": record.id,
        "at": record.at,
        "recipient": record.recipient,
        "actor": record.actor.agency,
        "dataset": record.dataset,
        "fields": record.fields,
        "purpose": record.purpose,
        "basis": record.basis,
        "agreement": str(record.agreement) if record.agreement else None,
        "decision": record.decision,
        "reason": record.reason,
    }


def _find_leaf(log: StoredLog, name: str) -> int:
    """The leaf of that number, or the oldest record with that id."""
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", name, re.ASCII):
        return int(name)
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        raise Refused("not a record's id", expected="32 lower-case hex characters, or a number")
    if (index := find_record(log, name)) is None:
        raise Refused(f"no record {name} in the ledger", got=f"{log.size} leaves searched")
    return index
