"""What an officer does to an agreement: approve a draft, or stop and resume what is in force.

An approval is kept in the register until provisioning announces it, for a new agreement may need
topics, schemas and grants. The other words bind at once: the set in force is announced anew with
the statement, and only the fence says that they bind everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import rfc8785
from civicbus_consumers.consent.fence import Fence
from civicbus_consumers.lookup.database import make_engine, migrate
from civicbus_consumers.lookup.leases import LeaseHolders
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.announcement import open_announcement, read_announced
from civicbus_schemas.errors import Refused
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.statement import Role, Standing, Statement, Word, standing_of

from civicbus_deploy.embedded import postgres
from civicbus_deploy.embedded.locks import held
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.nation import Nation
from civicbus_deploy.provisioning.officers import (
    appoint,
    keep_statements,
    key_file,
    read_statements,
    sign,
    trust_of,
)

FENCE_S = 60.0
_IN_TURN = {
    Word.SUSPEND: (Standing.APPROVED,),
    Word.RESUME: (Standing.SUSPENDED,),
    Word.REVOKE: (Standing.APPROVED, Standing.SUSPENDED),
}
"""Where an officer's own party must have put an agreement before the word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a word came to: where the agreement stands, and when that binds everywhere.

    `offset` is the announcement's on `state.policy.v1`; `fence_s` is None where nobody waited.
    """

    statement: Statement
    standing: Standing
    offset: int
    fence_s: float | None


def approve(
    folder: StateFolder,
    nation: Nation,
    names: Sequence[str],
    *,
    role: Role,
    key: Path | None = None,
) -> list[Statement]:
    """Sign and keep approvals of drafts; raises `Refused` before any is kept.

    Without the officer's own key the embedded stack makes one for each party that has none, and
    trusts it; with a key nobody comes to be trusted.
    """
    agreements = [find(nation.policy, name) for name in names]
    if key is None:  # the officers of this stack sign
        appoint(folder, (party for agreement in agreements for party in agreement.approved_by))
    known = {s.signed_bytes() for s in read_statements(folder)}
    signed = [
        _sign(folder, agreement, Word.APPROVE, role=role, key=key) for agreement in agreements
    ]
    keep_statements(folder, [s for s in signed if s.signed_bytes() not in known])
    return signed


def act(
    site: Site,
    name: str,
    word: Word,
    *,
    role: Role,
    key: Path | None = None,
    reason: str | None = None,
    wait_s: float | None = FENCE_S,
) -> Acted:
    """Suspend, resume or revoke an agreement of the set in force, and wait for the fence, if asked.

    Raises `Refused` where the word is out of turn; `Overdue` where the fence has not passed in
    time: the announcement holds nevertheless.
    """
    with held(site.folder.run / "policy", what="announcing", say=_say_nothing):
        announced = site.policies.read()
        if announced is None:
            raise Refused("no policy set is announced", next_step="civicbus provision")
        before = open_announcement(announced, trust_of(site.folder))
        agreement = find(before, name)
        statement = _sign(site.folder, agreement, word, role=role, key=key, reason=reason)
        _check_turn(before, agreement, statement)
        policy = _with(read_announced(announced), statement)
        keep_statements(site.folder, [statement])
        offset = site.policies.announce(policy)
    fence_s = None if wait_s is None else wait_for(site, offset, timeout_s=wait_s)
    after = find(parse_policy_set(policy), str(agreement.ref))
    return Acted(statement=statement, standing=after.standing, offset=offset, fence_s=fence_s)


def find(policy: PolicySet, name: str) -> Agreement:
    """The agreement `<id>@<version>`, or the only version of an id; raises `Refused`."""
    found = [a for a in policy.agreements if name in {str(a.ref), a.ref.id}]
    if len(found) == 1:
        return found[0]
    versions = sorted(str(a.ref) for a in policy.agreements if a.ref.id == name.partition("@")[0])
    raise Refused(
        f"there is no agreement {name!a}" if not found else f"{name} has several versions",
        expected=versions or "an id that `civicbus agreement list` shows",
    )


def _check_turn(before: PolicySet, agreement: Agreement, statement: Statement) -> None:
    """Each party holds a brake of its own: it frees what it has set itself, and nothing else."""
    own = standing_of(
        agreement.ref,
        terms=agreement.terms,
        parties=[statement.party],
        statements=before.statements,
    )
    if own not in _IN_TURN[statement.word]:
        raise Refused(
            f"{agreement.ref} cannot be told to {statement.word} by {statement.party}",
            got=f"{own} by that party",
            expected=" or ".join(_IN_TURN[statement.word]),
        )


def _sign(
    folder: StateFolder,
    agreement: Agreement,
    word: Word,
    *,
    role: Role,
    key: Path | None,
    reason: str | None = None,
) -> Statement:
    party = next(party for party in agreement.approved_by if party.role is role)
    return sign(
        agreement,
        word,
        party=party,
        key_file=key or key_file(folder, party),
        trust=trust_of(folder),
        reason=reason,
    )


def _with(policy: bytes, statement: Statement) -> bytes:
    """The set with one more statement."""
    document = json.loads(policy)
    document["statements"].append(statement.document())
    return rfc8785.dumps(document)


def wait_for(site: Site, offset: int, *, timeout_s: float = FENCE_S) -> float:
    """Wait until the policy announced at this offset binds everywhere; the seconds it took."""
    engine = make_engine(postgres.dsn_file(site.folder, "lookup"))
    try:
        migrate(engine)  # a stack whose look-ups never ran has no leases yet
        with closing(Fence(site.broker.access, holders=[LeaseHolders(engine)])) as fence:
            return fence.wait_policy(offset, timeout_s=timeout_s)
    finally:
        engine.dispose()


def _say_nothing(text: str) -> None:
    """A lock that a killed command left is taken without a word: data goes to stdout."""
