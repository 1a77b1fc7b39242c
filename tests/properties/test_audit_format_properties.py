"""Evidence has one spelling: whatever can be read writes back to the same bytes."""

from __future__ import annotations

import pytest
from civicbus_audit.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.note import Signer, open_note, parse_note
from civicbus_audit.notice import Finding
from civicbus_audit.policy import format_policy, parse_policy
from civicbus_audit.proof import LogProof, format_proof, parse_proof
from civicbus_audit.quorum import Group, Log, Policy, Witness, open_cosigned
from civicbus_audit.sealed import decode_sealed, encode_sealed
from civicbus_audit.sequencing import Chains, PageMessage, sequence
from civicbus_audit.state import LedgerState
from civicbus_audit.tiles import ENTRIES, Tile
from civicbus_schemas.errors import BusError, EvidenceBroken, InvalidBytes
from civicbus_schemas.ids import RecorderId, RecordId
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.pages import AT, KEY, PUBLIC_KEYS, FakeRecorder, bound, decision, messages

SIGNER = Signer("civicbus.local/audit", Ed25519PrivateKey.from_private_bytes(bytes(32)))
hashes = st.binary(min_size=32, max_size=32)
checkpoints = st.builds(
    Checkpoint,
    origin=st.just("civicbus.local/audit"),
    size=st.integers(1, 2**63 - 1),
    root=hashes,
)
proofs = st.builds(
    LogProof,
    index=st.integers(0, 2**63 - 1),
    hashes=st.lists(hashes, max_size=8).map(tuple),
    checkpoint=st.just(SIGNER.sign("text\n")),
    extra=st.none() | st.binary(max_size=40),
)


@st.composite
def changed(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with one place replaced, dropped or doubled."""
    data = draw(originals)
    place = draw(st.integers(0, len(data) - 1))
    new = draw(
        st.sampled_from([b"", data[place : place + 1] * 2]) | st.binary(min_size=1, max_size=2)
    )
    return data[:place] + new + data[place + 1 :]


@given(checkpoints)
def test_a_checkpoint_reads_back_when_it_was_signed(checkpoint: Checkpoint) -> None:
    note = sign_checkpoint(checkpoint, SIGNER)
    assert parse_checkpoint(open_note(note, SIGNER.verifier)) == checkpoint


@given(changed(checkpoints.map(lambda c: sign_checkpoint(c, SIGNER))))
def test_a_changed_note_is_refused_or_says_the_same_when_it_is_opened(data: bytes) -> None:
    try:
        text = open_note(data, SIGNER.verifier)
    except (InvalidBytes, EvidenceBroken):
        return
    note = parse_note(data)
    assert f"{text}\n{''.join(map(str, note.signatures))}".encode() == data


WITNESSES = [
    CosignatureSigner(f"{i}.example/w", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32))
    for i in (1, 2, 3)
]
POLICY = Policy(
    logs=(Log(verifier=SIGNER.verifier),),
    witnesses=tuple(Witness(name=f"w{i}", cosigner=w.cosigner) for i, w in enumerate(WITNESSES)),
    groups=(Group(name="quorum", threshold=2, members=("w0", "w1", "w2")),),
    quorum="quorum",
)


@given(checkpoints, st.lists(st.integers(0, 2), max_size=4), st.integers(1, 2**63 - 1))
def test_a_checkpoint_opens_exactly_when_two_witnesses_cosigned(
    checkpoint: Checkpoint, signers: list[int], at_s: int
) -> None:
    lines = [str(WITNESSES[i].cosign(checkpoint.text, at_s=at_s)) for i in signers]
    note = sign_checkpoint(checkpoint, SIGNER) + "".join(lines).encode()
    if len(set(signers)) < 2:
        with pytest.raises(EvidenceBroken):
            open_cosigned(note, POLICY)
        return
    cosigned = open_cosigned(note, POLICY)
    assert cosigned.checkpoint == checkpoint
    assert cosigned.times_s == {f"w{i}": at_s for i in signers}


COSIGNED = sign_checkpoint(Checkpoint(origin=SIGNER.verifier.name, size=9, root=bytes(32)), SIGNER)
COSIGNED += "".join(
    str(w.cosign(COSIGNED.decode().partition("\n\n")[0] + "\n", at_s=7)) for w in WITNESSES[:2]
).encode()


@given(changed(st.just(COSIGNED)))
def test_a_changed_checkpoint_of_just_a_quorum_is_refused(data: bytes) -> None:
    """Two of two must have signed, so there is no byte that may change."""
    assert open_cosigned(COSIGNED, POLICY)
    if data != COSIGNED:
        with pytest.raises((InvalidBytes, EvidenceBroken)):
            open_cosigned(data, POLICY)


@given(changed(st.just(format_policy(POLICY))) | st.binary(max_size=80))
def test_a_policy_is_read_or_refused_when_its_bytes_are_anything(data: bytes) -> None:
    try:
        policy = parse_policy(data)
    except InvalidBytes:
        return
    assert parse_policy(format_policy(policy)) == policy


@given(proofs)
def test_a_proof_reads_back_when_it_was_written(proof: LogProof) -> None:
    assert parse_proof(format_proof(proof)) == proof


@given(changed(proofs.map(format_proof)))
def test_a_changed_proof_has_one_spelling_when_it_can_be_read(data: bytes) -> None:
    try:
        proof = parse_proof(data)
    except InvalidBytes:
        return
    assert format_proof(proof) == data


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=256))
def test_sealed_parts_read_back_when_they_were_written(parts: list[bytes]) -> None:
    bundle = Tile(level=ENTRIES, index=0, width=len(parts))
    assert decode_sealed(encode_sealed(parts), bundle) == parts
    with pytest.raises(InvalidBytes):
        decode_sealed(encode_sealed(parts) + b"\x00", bundle)


@given(st.binary(max_size=80) | changed(st.just(LedgerState(origin="o", memory={}).encode())))
def test_a_state_is_read_or_refused_when_its_bytes_are_anything(data: bytes) -> None:
    try:
        state = LedgerState.decode(data)
    except EvidenceBroken:
        return
    assert LedgerState.decode(state.encode()) == state


class NothingSeen:
    """A ledger without pages."""

    def pages(self, recorder: RecorderId, sequence: int) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    def notice(self, id_: RecordId) -> bool:  # noqa: ARG002
        return False


PAGE = messages(FakeRecorder(RecorderId("a" * 32)).write(decision(), decision()))[0].value


@given(st.binary(max_size=60) | changed(st.just(PAGE)))
def test_a_changed_page_is_set_aside_when_it_is_sequenced(value: bytes) -> None:
    """Only the frame's schema id and the sealed parts are not bound by the page's signature."""
    message = PageMessage(offset=0, at=AT, value=value)
    try:
        step = sequence(message, Chains(), keys=PUBLIC_KEYS, seen=NothingSeen())
    except BusError as error:  # pragma: no cover - any error would stop sealing
        raise AssertionError(value.hex()) from error
    assert len(step.leaves) == (3 if step.finding is None else 1)
    if step.finding is not None:
        assert list(step.quarantine.values()) == [value]
    else:
        genuine = sequence(
            PageMessage(offset=0, at=AT, value=PAGE),
            Chains(),
            keys=PUBLIC_KEYS,
            seen=NothingSeen(),
        )
        assert step.leaves == genuine.leaves


names = st.text(max_size=12) | st.sampled_from(("lookup", "lookup-consents", "Lookup", "oversight"))


@given(names, st.lists(names.filter(bool), max_size=3))
def test_a_page_becomes_leaves_exactly_when_its_name_is_one_of_its_key(
    name: str, own: list[str]
) -> None:
    page = FakeRecorder(RecorderId("a" * 32), process=name).write(decision(), decision())
    (message,) = messages(page)
    step = sequence(message, Chains(), keys=bound(KEY, *own), seen=NothingSeen())
    if name in own:
        assert (step.finding, step.leaves) == (None, (page.header, *page.records))
    else:
        assert (step.finding, len(step.leaves)) == (Finding.FOREIGN_PROCESS, 1)
        assert list(step.quarantine.values()) == [message.value]
        assert step.chains == Chains()
