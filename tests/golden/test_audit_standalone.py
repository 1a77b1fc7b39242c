"""The stand-alone verifier needs nothing of ours, and finds what the ledger's own code finds."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from civicbus_audit.checkpoint import Checkpoint as OurCheckpoint
from civicbus_audit.checkpoint import sign_checkpoint
from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.merkle import CompactRange, inclusion_proof, leaf_hash, perfect_root
from civicbus_audit.note import Signer
from civicbus_audit.policy import parse_policy as our_policy
from civicbus_audit.proof import LogProof, format_proof
from civicbus_audit.quorum import open_cosigned
from civicbus_audit.standalone import verify as alone
from civicbus_audit.verify import verify_proof as our_verify_proof
from civicbus_schemas.errors import BusError
from civicbus_schemas.record import RECORD
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

ORIGIN = "civicbus.local/audit"
SCRIPT = Path(alone.__file__)


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


SIGNER = Signer(ORIGIN, key(0))
WITNESSES = [CosignatureSigner(f"w{i}.example", key(i)) for i in (1, 2, 3)]
POLICY = "".join(
    [
        f"log {SIGNER.verifier}\n",
        *(f"witness w{i} {w.cosigner}\n" for i, w in enumerate(WITNESSES, 1)),
        "group all-of-them 2 w1 w2 w3\n\n # said so\n quorum\tall-of-them \n",
    ]
).encode()
LOG_ONLY = f"log {SIGNER.verifier}\nquorum none\n".encode()


def signed(leaves: list[bytes], *, witnesses: int = 2) -> bytes:
    """The cosigned checkpoint of these leaves."""
    root = CompactRange().extended(map(leaf_hash, leaves)).root()
    checkpoint = OurCheckpoint(origin=ORIGIN, size=len(leaves), root=root)
    note = sign_checkpoint(checkpoint, SIGNER)
    cosigned = [str(w.cosign(checkpoint.text, at_s=1_800_000_000)) for w in WITNESSES[:witnesses]]
    return note + "".join(cosigned).encode()


def proof_of(leaves: list[bytes], index: int, *, with_leaf: bool = True) -> bytes:
    hashes = [leaf_hash(leaf) for leaf in leaves]

    def node(height: int, at: int) -> bytes:
        return perfect_root(hashes[at << height : (at + 1) << height])

    return format_proof(
        LogProof(
            index=index,
            hashes=inclusion_proof(index, len(leaves), node),
            checkpoint=signed(leaves),
            extra=leaves[index] if with_leaf else None,
        )
    )


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except (alone.Broken, alone.Usage, BusError):
        return True
    return False


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script by itself: no environment, no site packages, nothing of ours on the path."""
    script = shutil.copy(SCRIPT, folder / "verify.py")
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", script, *arguments],
        cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True, check=False,
    )  # fmt: skip


LEAVES = [f"leaf {i}".encode() for i in range(11)]


def test_it_needs_no_package_and_no_environment_when_it_runs(tmp_path: Path) -> None:
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "x.tlog-proof").write_bytes(proof_of(LEAVES, 7))
    (tmp_path / "bare").write_bytes(proof_of(LEAVES, 7, with_leaf=False))
    (tmp_path / "leaf").write_bytes(LEAVES[7])
    (tmp_path / "checkpoint").write_bytes(signed(LEAVES))
    done = run(tmp_path, "proof", "x.tlog-proof", "--policy", "policy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"The proof holds: leaf 7 of 11 in {ORIGIN}.\n"
    assert run(tmp_path, "proof", "bare", "--policy", "policy").returncode == 2
    leaf = ("--leaf", "leaf")
    assert run(tmp_path, "proof", "bare", "--policy", "policy", *leaf).returncode == 0
    assert run(tmp_path, "checkpoint", "checkpoint", "--policy", "policy").returncode == 0
    (tmp_path / "checkpoint").write_bytes(signed(LEAVES, witnesses=1))
    broken = run(tmp_path, "checkpoint", "checkpoint", "--policy", "policy")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "too few witnesses" in broken.stderr
    for wrong in [(), ("proof", "nowhere", "--policy", "policy"), ("proof", "bare"),
                  ("checkpoint", "checkpoint", "--policy", "checkpoint"),
                  ("bundle", "nowhere", "--policy", "policy"), ("colour", "x")]:  # fmt: skip
        assert run(tmp_path, *wrong).returncode == 2
    twice = run(tmp_path, "proof", "x.tlog-proof", "--policy", "another", "--policy", "policy")
    assert (twice.returncode, "--policy is given twice" in twice.stderr) == (2, True)


# RFC 8032 section 7.1, tests 1 to 3
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_verify_when_they_are_as_printed(
    public: str, message: str, signature: str
) -> None:
    args = bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message)
    assert alone.ed25519_verifies(*args)
    assert not alone.ed25519_verifies(args[0], args[1], args[2] + b"x")
    s = int.from_bytes(args[1][32:], "little") + 2**252 + 27742317777372353535851937790883648493
    malleable = args[1][:32] + s.to_bytes(32, "little")
    assert not alone.ed25519_verifies(args[0], malleable, args[2])


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 95), st.integers(1, 255))
def test_signatures_are_judged_as_openssl_judges_them_when_a_byte_is_another(
    message: bytes, place: int, flip: int
) -> None:
    public, signature = key(5).public_key().public_bytes_raw(), key(5).sign(message)
    assert alone.ed25519_verifies(public, signature, message)
    changed = bytearray(public + signature)
    changed[place] ^= flip
    public, signature = bytes(changed[:32]), bytes(changed[32:])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        openssl = True
    except (InvalidSignature, ValueError):
        openssl = False
    assert alone.ed25519_verifies(public, signature, message) is openssl


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=70), st.data())
def test_a_proof_of_a_random_log_holds_for_both_when_it_is_whole(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = proof_of(leaves, index)
    found, checkpoint = alone.verify_proof(proof, alone.parse_policy(POLICY), None)
    ours = our_verify_proof(proof, our_policy(POLICY))
    assert (found, checkpoint.size, checkpoint.root) == (
        ours.index,
        ours.checkpoint.size,
        ours.checkpoint.root,
    )
    other = data.draw(st.binary(max_size=9))
    if other != leaves[index]:
        with pytest.raises(alone.Broken):
            alone.verify_proof(proof, alone.parse_policy(POLICY), other)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One byte changed, dropped, doubled or swapped with its neighbour."""
    at = chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
        case 1:
            return data[:at] + data[at + 1 :]
        case 2:
            return data[:at] + data[at : at + 1] + data[at:]
        case _:
            return data[:at] + data[at : at + 2][::-1] + data[at + 2 :]


def test_both_find_every_single_mutation_of_a_proof_when_thousands_are_tried() -> None:
    """The cheap form: a log without witnesses, since pure Python verifies some 300 a second."""
    chance, log_only = random.Random(8), alone.parse_policy(LOG_ONLY)  # noqa: S311
    proof = proof_of(LEAVES, 7).partition("\n— w1".encode())[0] + b"\n"
    assert alone.verify_proof(proof, log_only, None)[0] == 7
    for _ in range(1000):
        changed = mutated(proof, chance)
        if changed == proof:
            continue
        assert refuses(lambda c=changed: alone.verify_proof(c, log_only, None)), changed  # type: ignore[misc]
        assert refuses(lambda c=changed: our_verify_proof(c, SIGNER.verifier)), changed  # type: ignore[misc]


def test_both_judge_alike_when_a_cosigned_checkpoint_is_mutated() -> None:
    """A line that nobody knows any more is ignored, so some mutations of a third witness pass."""
    chance, policy = random.Random(9), alone.parse_policy(POLICY)  # noqa: S311
    note = signed(LEAVES, witnesses=3)
    for _ in range(150):
        changed = mutated(note, chance)
        ours = refuses(lambda c=changed: open_cosigned(c, our_policy(POLICY)))  # type: ignore[misc]
        assert refuses(lambda c=changed: alone.open_checkpoint(c, policy, "x")) is ours  # type: ignore[misc]


V1, V2 = str(WITNESSES[0].cosigner), str(WITNESSES[1].cosigner)
LOG = f"log {SIGNER.verifier}\n"


@pytest.mark.parametrize(
    "policy",
    [
        "",
        LOG,
        LOG + "quorum none",
        LOG + "quorum none\nquorum none\n",
        LOG + "quorum w1\n",
        LOG + f"witness w1 {V1}\nwitness w1 {V2}\nquorum w1\n",
        LOG + f"witness w1 {V1}\nwitness w2 {V1}\nquorum w1\n",
        LOG + f"witness none {V1}\nquorum none\n",
        LOG + f"witness w1 {V1}\ngroup g 2 w1\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g 0 w1\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g 01 w1\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g any\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g any w1 w1\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g any w1\ngroup h any w1\nquorum g\n",
        LOG + f"witness w1 {V1}\ngroup g any g\nquorum g\n",
        LOG + f"witness w1 {SIGNER.verifier}\nquorum w1\n",
        f"log {V1}\nquorum none\n",
        LOG + LOG + "quorum none\n",
        LOG + "quorum none\r\n",
        LOG + "colour red\nquorum none\n",
        LOG + "quorum none extra\n",
    ],
)
def test_both_refuse_a_policy_when_it_is_malformed(policy: str) -> None:
    assert refuses(lambda: alone.parse_policy(policy.encode()))
    if policy.startswith("log") or policy == "":
        assert refuses(lambda: our_policy(policy.encode()))


@pytest.mark.parametrize("size", [" 10", "+10", "010", "-5", "1_0", "1e3", "٣", "9" * 19, ""])
def test_a_checkpoint_is_refused_when_its_size_has_another_spelling(size: str) -> None:
    note = SIGNER.sign(f"{ORIGIN}\n{size}\n{'A' * 43}=\n")
    with pytest.raises(alone.Broken):
        alone.open_checkpoint(note, alone.parse_policy(LOG_ONLY), "x")


@pytest.mark.parametrize("root", ["A" * 44, "A" * 42 + "B=", "A" * 40, "!" * 44, "A" * 43])
def test_a_checkpoint_is_refused_when_its_root_is_no_hash(root: str) -> None:
    note = SIGNER.sign(f"{ORIGIN}\n1\n{root}\n")
    with pytest.raises(alone.Broken):
        alone.open_checkpoint(note, alone.parse_policy(LOG_ONLY), "x")


def test_101_signatures_are_refused_when_100_are_not() -> None:
    policy, stranger = alone.parse_policy(LOG_ONLY), "— a AAAAAAA=\n".encode()
    note = signed(LEAVES, witnesses=0)
    assert alone.open_checkpoint(note + stranger * 99, policy, "x").size == 11
    with pytest.raises(alone.Broken, match="1 to 100 signatures"):
        alone.open_checkpoint(note + stranger * 100, policy, "x")
    foreign = Signer(ORIGIN, key(9)).sign(f"{ORIGIN}\n1\n{'A' * 43}=\n")
    with pytest.raises(alone.Broken, match="was not signed by the log"):
        alone.open_checkpoint(foreign, policy, "x")


def test_the_header_of_a_record_is_ours_when_the_file_is_read() -> None:
    assert RECORD.single_object_header == alone._HEADER
