"""Cosignatures and policies: the bytes of C2SP, and each tampering by its name."""

from __future__ import annotations

import base64
import hashlib

import pytest
from civicbus_audit.checkpoint import Checkpoint, sign_checkpoint
from civicbus_audit.cosignature import CosignatureSigner, Cosigner
from civicbus_audit.note import Signature, Signer, parse_signature
from civicbus_audit.policy import format_policy, parse_policy
from civicbus_audit.quorum import Policy, open_cosigned, open_trusted
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "civicbus.local/audit"


def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


LOG = Signer(ORIGIN, key(0))
WITNESSES = {
    name: CosignatureSigner(f"{name}.example/w", key(i)) for i, name in enumerate("abc", 1)
}
CHECKPOINT = Checkpoint(origin=ORIGIN, size=5, root=bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, LOG)
AT_S = 1_679_315_147
VKEYS = {name: str(signer.cosigner) for name, signer in WITNESSES.items()}
POLICY_FILE = f"""# two of three
log {LOG.verifier} http://127.0.0.1:1
witness a {VKEYS["a"]} http://127.0.0.1:2

\twitness  b\t{VKEYS["b"]}
witness c {VKEYS["c"]}
group two-of-three 2 a b c
quorum two-of-three
""".encode()
POLICY = parse_policy(POLICY_FILE)


def line(name: str, at_s: int = AT_S) -> bytes:
    return str(WITNESSES[name].cosign(CHECKPOINT.text, at_s=at_s)).encode()


def test_the_line_has_the_specification_s_bytes_when_a_witness_cosigns() -> None:
    """Calculated beside the code, from the words of tlog-cosignature.md."""
    private = key(1)
    public = private.public_key().public_bytes_raw()
    body = f"{ORIGIN}\n5\n{base64.b64encode(bytes(range(32))).decode()}\n"
    message = b"cosignature/v1\ntime 1679315147\n" + body.encode()
    blob = (
        hashlib.sha256(b"a.example/w\n\x04" + public).digest()[:4]
        + b"\x00\x00\x00\x00\x64\x18\x50\xcb"  # as in the specification's example
        + private.sign(message)
    )
    assert line("a") == f"— a.example/w {base64.b64encode(blob).decode()}\n".encode()


def test_the_specification_s_line_says_its_time_when_it_is_read() -> None:
    example = parse_signature(
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dl"
        "rDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    )
    assert int.from_bytes(example.signature[:8], "big") == AT_S
    assert str(example).endswith("IUBkBIfZ+qnA==\n")


def test_the_bytes_stay_the_same_when_a_witness_s_key_is_named() -> None:
    assert VKEYS["a"] == "a.example/w+0bd98c58+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    assert Cosigner.parse(VKEYS["a"]) == WITNESSES["a"].cosigner


def test_the_checkpoint_is_believed_when_a_quorum_has_cosigned_it() -> None:
    cosigned = open_cosigned(NOTE + line("a") + line("c", AT_S + 1), POLICY)
    assert cosigned.checkpoint == CHECKPOINT
    assert cosigned.times_s == {"a": AT_S, "c": AT_S + 1}
    assert open_trusted(NOTE + line("a") + line("b"), POLICY) == CHECKPOINT
    assert open_trusted(NOTE, LOG.verifier) == CHECKPOINT


def test_the_newest_time_counts_when_a_witness_has_cosigned_twice() -> None:
    note = NOTE + line("a", AT_S + 5) + line("a") + line("b")
    assert open_cosigned(note, POLICY).times_s["a"] == AT_S + 5


STRANGER = CosignatureSigner("a.example/w", key(9)).cosign(CHECKPOINT.text, at_s=AT_S)
OTHER = Checkpoint(origin=ORIGIN, size=6, root=bytes(32))


def replaced(original: bytes, **parts: bytes) -> bytes:
    """A cosignature whose time or signature was exchanged."""
    read = parse_signature(original.decode().rstrip("\n"))
    time, signed = read.signature[:8], read.signature[8:]
    changed = parts.get("time", time) + parts.get("signed", signed)
    return str(Signature(name=read.name, key_id=read.key_id, signature=changed)).encode()


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(NOTE, id="nobody"),
        pytest.param(NOTE + line("a"), id="one"),
        pytest.param(NOTE + line("a") * 2, id="one-twice"),
        pytest.param(NOTE + line("a") + str(STRANGER).encode(), id="name-of-a-witness-other-key"),
        pytest.param(
            NOTE + line("a") + line("b") + replaced(line("c"), time=bytes(8)), id="time-changed"
        ),
        pytest.param(
            NOTE + line("a") + line("b") + replaced(line("c"), time=b"\x80" + bytes(7)),
            id="time-over-2^63",
        ),
        pytest.param(
            NOTE + line("a") + line("b") + replaced(line("c"), signed=bytes(64)), id="zeroes"
        ),
        pytest.param(
            NOTE + line("a") + line("b") + replaced(line("c"), signed=bytes(63)), id="too-short"
        ),
        pytest.param(
            NOTE + line("a") + str(WITNESSES["b"].cosign(OTHER.text, at_s=AT_S)).encode(),
            id="of-another-checkpoint",
        ),
        pytest.param(
            NOTE.partition(b"\n\n")[0] + b"\n\n" + line("a") + line("b"), id="log-did-not-sign"
        ),
        pytest.param(
            sign_checkpoint(
                Checkpoint(origin="else", size=5, root=bytes(32)), Signer("else", key(0))
            ),
            id="another-log",
        ),
    ],
)
def test_a_checkpoint_is_refused_when_its_cosignatures_do_not_suffice(note: bytes) -> None:
    with pytest.raises(EvidenceBroken):
        open_cosigned(note, POLICY)


def test_a_note_is_refused_when_it_has_101_signatures() -> None:
    assert open_cosigned(NOTE + line("a") * 98 + line("b"), POLICY)
    with pytest.raises(InvalidBytes):
        open_cosigned(NOTE + line("a") * 99 + line("b"), POLICY)


@pytest.mark.parametrize("at_s", [0, -1, 2**63])
def test_nothing_is_cosigned_when_the_time_is_impossible(at_s: int) -> None:
    with pytest.raises(Refused):
        WITNESSES["a"].cosign(CHECKPOINT.text, at_s=at_s)


def test_groups_of_groups_decide_when_the_policy_has_them() -> None:
    policy = parse_policy(
        f"log {LOG.verifier}\nwitness a {VKEYS['a']}\nwitness b {VKEYS['b']}\n"
        f"witness c {VKEYS['c']}\ngroup x any a b\ngroup y all x c\nquorum y\n".encode()
    )
    accepted = [set("ac"), set("bc"), set("abc")]
    for names in [set(), set("a"), set("ab"), set("c"), *accepted]:
        assert policy.is_satisfied_by(names) is (names in accepted)


def test_nobody_is_asked_when_the_quorum_is_none() -> None:
    policy = parse_policy(f"log {LOG.verifier}\nquorum none\n".encode())
    assert open_cosigned(NOTE, policy).times_s == {}
    with pytest.raises(EvidenceBroken):
        open_cosigned(NOTE, Policy())


def test_a_policy_reads_back_when_it_was_written() -> None:
    assert parse_policy(format_policy(POLICY)) == POLICY
    octets = f"witness \udcff {VKEYS['a']}\nquorum \udcff\n".encode("utf-8", "surrogateescape")
    assert format_policy(parse_policy(octets)) == octets


A, B = f"witness a {VKEYS['a']}\n", f"witness b {VKEYS['b']}\n"
SAME_KEY = CosignatureSigner("other.example/w", key(1)).cosigner
LOG_KEY = CosignatureSigner("a.example/w", key(0)).cosigner


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(A, id="no-quorum"),
        pytest.param(A + "quorum a", id="final-newline-missing"),
        pytest.param(A + "quorum a\nquorum a\n", id="quorum-twice"),
        pytest.param("quorum a\n" + A, id="quorum-before-its-witness"),
        pytest.param(A + "quorum b\n", id="quorum-unknown"),
        pytest.param(A + "quorum a b\n", id="quorum-of-two"),
        pytest.param(A + A + "quorum a\n", id="witness-twice"),
        pytest.param(A + f"witness b {SAME_KEY}\nquorum a\n", id="two-witnesses-one-key"),
        pytest.param(f"log {LOG.verifier}\nwitness a {LOG_KEY}\nquorum a\n", id="log-s-key"),
        pytest.param(f"witness a {LOG_KEY}\nlog {LOG.verifier}\nquorum a\n", id="log-s-key-later"),
        pytest.param(f"log {LOG.verifier}\n" * 2 + "quorum none\n", id="log-twice"),
        pytest.param(f"log {VKEYS['a']}\nquorum none\n", id="log-with-a-witness-s-type"),
        pytest.param(f"witness a {LOG.verifier}\nquorum a\n", id="witness-with-a-log-s-type"),
        pytest.param(f"witness none {VKEYS['a']}\nquorum none\n", id="witness-called-none"),
        pytest.param(A + B + "group a any b\nquorum a\n", id="group-with-a-witness-s-name"),
        pytest.param(A + "group g any g\nquorum g\n", id="group-of-itself"),
        pytest.param(A + "group g any b\n" + B + "quorum g\n", id="group-before-its-member"),
        pytest.param(A + "group g any none\nquorum g\n", id="group-of-none"),
        pytest.param(A + "group g any\nquorum a\n", id="group-empty"),
        pytest.param(A + B + "group g 0 a b\nquorum g\n", id="threshold-0"),
        pytest.param(A + B + "group g 3 a b\nquorum g\n", id="threshold-3-of-2"),
        pytest.param(A + B + "group g +1 a b\nquorum g\n", id="threshold-with-sign"),
        pytest.param(A + B + "group g 01 a b\nquorum g\n", id="threshold-padded"),
        pytest.param(A + B + "group g most a b\nquorum g\n", id="threshold-word"),
        pytest.param(A + B + "group g 2 a a\nquorum g\n", id="member-twice"),
        pytest.param(A + B + "group g any a\ngroup h 2 g a\nquorum h\n", id="member-of-two-groups"),
        pytest.param(A + "quorum a\nmonitor x\n", id="unknown-word"),
        pytest.param(A.replace("\n", "\r\n") + "quorum a\n", id="carriage-return"),
        pytest.param(A + "quorum a\n\x7f", id="delete-character"),
        pytest.param(A.replace("BI", "Bi") + "quorum a\n", id="vkey-changed"),
        pytest.param(A.replace("\n", " u v\n") + "quorum a\n", id="two-urls"),
        pytest.param("#" * 65_536 + "\n" + A + "quorum a\n", id="too-long"),
    ],
)
def test_a_policy_is_refused_when_it_is_malformed(text: str) -> None:
    with pytest.raises(InvalidBytes):
        parse_policy(text.encode())
