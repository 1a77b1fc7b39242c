"""C2SP tlog-policy: the file that says which logs, witnesses and quorum to believe. Pure.

Read strictly: a line that this reader does not know refuses the file, and no two names share a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from civicbus_audit.canonical import malformed, parse_decimal
from civicbus_audit.cosignature import Cosigner
from civicbus_audit.note import Verifier
from civicbus_audit.quorum import NO_QUORUM, Group, Log, Policy, Witness

MAX_POLICY_BYTES = 65_536


def parse_policy(data: bytes) -> Policy:
    """The policy of a file's bytes; raises `InvalidBytes`."""
    draft = _Draft()
    for number, items in _lines(data):
        match items:
            case ["log", vkey, *url] if len(url) < 2:
                draft.add_log(vkey, *url)
            case ["witness", name, vkey, *url] if len(url) < 2:
                draft.add_witness(name, vkey, *url)
            case ["group", name, threshold, _, *_]:
                draft.add_group(name, threshold, tuple(items[3:]))
            case ["quorum", name]:
                draft.set_quorum(name)
            case _:
                malformed(
                    f"line {number} of the policy is not understood",
                    got=ascii(" ".join(items)[:80]),
                    expected="log, witness, group or quorum with what belongs to it",
                )
    return draft.policy()


def format_policy(policy: Policy) -> bytes:
    """A file that says this."""
    lines = [_joined("log", str(log.verifier), log.url) for log in policy.logs]
    lines += [_joined("witness", w.name, str(w.cosigner), w.url) for w in policy.witnesses]
    lines += [_joined("group", g.name, str(g.threshold), *g.members) for g in policy.groups]
    return "".join([*lines, f"quorum {policy.quorum}\n"]).encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class _Draft:
    """What the lines so far have said."""

    logs: list[Log] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str | None = None
    members: set[str] = field(default_factory=set)

    def add_log(self, vkey: str, url: str | None = None) -> None:
        verifier = Verifier.parse(vkey)
        self._check_fresh(verifier.public_key)
        self.logs.append(Log(verifier=verifier, url=url))

    def add_witness(self, name: str, vkey: str, url: str | None = None) -> None:
        cosigner = Cosigner.parse(vkey)
        self._check_fresh(cosigner.public_key)
        self.witnesses.append(Witness(name=self._unused(name), cosigner=cosigner, url=url))

    def add_group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        for member in members:
            if member not in self._names() or member in self.members:
                malformed(
                    "a group's member is not defined before it, or is in a group already",
                    got=ascii(member[:80]),
                )
            self.members.add(member)
        match threshold:
            case "any":
                count = 1
            case "all":
                count = len(members)
            case _:
                count = parse_decimal(threshold, what="a group's threshold")
        if not 1 <= count <= len(members):
            malformed("a group's threshold is wrong", got=count, expected=f"1 to {len(members)}")
        self.groups.append(Group(name=self._unused(name), threshold=count, members=members))

    def set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            malformed("the policy has two quorum lines")
        if name not in self._names() | {NO_QUORUM}:
            malformed("the quorum is not defined before its line", got=ascii(name[:80]))
        self.quorum = name

    def policy(self) -> Policy:
        if self.quorum is None:
            malformed("the policy has no quorum line", expected="quorum <name>, or quorum none")
        return Policy(
            logs=tuple(self.logs),
            witnesses=tuple(self.witnesses),
            groups=tuple(self.groups),
            quorum=self.quorum,
        )

    def _names(self) -> set[str]:
        return {w.name for w in self.witnesses} | {g.name for g in self.groups}

    def _unused(self, name: str) -> str:
        if name in self._names() | {NO_QUORUM}:
            malformed("the policy uses a name twice", got=ascii(name[:80]))
        return name

    def _check_fresh(self, public_key: bytes) -> None:
        """A cosignature does not name its cosigner, so a key that two share would count twice."""
        logs = {log.verifier.public_key for log in self.logs}
        if public_key in logs | {w.cosigner.public_key for w in self.witnesses}:
            malformed("two keys of the policy are the same", expected="a key for each")


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The items of each line that says something; names are octets, whatever they mean."""
    if len(data) > MAX_POLICY_BYTES:
        malformed("the policy is too long", got=f"{len(data)} bytes", expected=MAX_POLICY_BYTES)
    if any((c < 0x20 and c not in b"\t\n") or c == 0x7F for c in data):
        malformed("the policy has a control character", expected="tab and newline only")
    text = data.decode("utf-8", "surrogateescape")
    if not text.endswith("\n"):
        malformed("the policy does not end in a newline")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        items = [item for item in line.replace("\t", " ").split(" ") if item]
        if items and not items[0].startswith("#"):
            yield number, items


def _joined(*items: str | None) -> str:
    return " ".join(item for item in items if item) + "\n"
