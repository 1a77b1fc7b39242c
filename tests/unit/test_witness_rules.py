"""A witness answers with the codes of C2SP tlog-witness, and keeps what it has answered."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
from civicbus_audit.checkpoint import Checkpoint, sign_checkpoint
from civicbus_audit.merkle import EMPTY_ROOT
from civicbus_audit.note import Signer, open_note, parse_note, parse_signature
from civicbus_audit.witness.request import Request, format_request, parse_request
from civicbus_audit.witness.rules import Refusal, Status, Submitted
from civicbus_audit.witness.store import WitnessStore
from civicbus_audit.witness.witness import Witness
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Unavailable
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.witnesses import HONEST, LOG, ORIGIN, SIGNERS, SPLIT, FakeLog

AT_S = 1_800_000_000


def witness(folder: Path) -> Witness:
    return Witness(
        signer=SIGNERS[0],
        logs={ORIGIN: LOG.verifier},
        store=WitnessStore(folder / "store.db"),
        clock=lambda: AT_S + 0.9,
    )


def accepted(witness: Witness, body: bytes) -> str:
    answer = witness.add_checkpoint(body)
    assert isinstance(answer, str), answer
    return answer


def refused(witness: Witness, body: bytes) -> Refusal:
    answer = witness.add_checkpoint(body)
    assert isinstance(answer, Refusal)
    return answer


def test_a_log_is_cosigned_when_it_grows_from_nothing(tmp_path: Path) -> None:
    one = witness(tmp_path)
    old = 0
    for size in (0, 1, 1, 5, 256, 257, 700):
        line = accepted(one, HONEST.body(old, size))
        signature = parse_signature(line[:-1])
        assert SIGNERS[0].cosigner.time_s(HONEST.checkpoint(size).text, signature) == AT_S
        old = size
    assert one.store.held(ORIGIN).size == 700


@pytest.mark.parametrize(
    ("body", "status", "size"),
    [
        pytest.param(HONEST.body(101, 100), Status.MALFORMED, None, id="old-size-above"),
        pytest.param(HONEST.body(50, 200), Status.STALE, 100, id="stale"),
        pytest.param(HONEST.body(0, 200), Status.STALE, 100, id="asks-what-is-held"),
        pytest.param(HONEST.body(150, 200), Status.STALE, 100, id="ahead"),
        pytest.param(HONEST.body(60, 60), Status.STALE, 100, id="rollback"),
        pytest.param(HONEST.body(100, 90), Status.MALFORMED, None, id="rollback-told-honestly"),
        pytest.param(SPLIT.body(100, 100), Status.INCONSISTENT, None, id="split-view"),
        pytest.param(SPLIT.body(100, 200), Status.INCONSISTENT, None, id="rewritten-history"),
        pytest.param(
            format_request(Request(old_size=100, proof=(), note=HONEST.note(200))),
            Status.INCONSISTENT,
            None,
            id="proof-missing",
        ),
        pytest.param(
            format_request(Request(old_size=100, proof=(bytes(32),) * 63, note=HONEST.note(200))),
            Status.INCONSISTENT,
            None,
            id="proof-of-63-lines",
        ),
        pytest.param(
            format_request(Request(old_size=100, proof=(bytes(32),), note=HONEST.note(100))),
            Status.INCONSISTENT,
            None,
            id="proof-where-none-belongs",
        ),
        pytest.param(
            FakeLog(HONEST.leaves, Signer("else", Ed25519PrivateKey.generate())).body(100, 200),
            Status.UNKNOWN_LOG,
            None,
            id="unknown-log",
        ),
        pytest.param(
            FakeLog(HONEST.leaves, Signer(ORIGIN, Ed25519PrivateKey.generate())).body(100, 200),
            Status.NOT_SIGNED,
            None,
            id="another-s-key",
        ),
        pytest.param(
            HONEST.body(100, 200).replace(b"\n200\n", b"\n201\n"),
            Status.NOT_SIGNED,
            None,
            id="wrong-signature-of-a-known-key",
        ),
        pytest.param(
            format_request(
                Request(
                    old_size=100,
                    proof=(),
                    note=sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), LOG),
                )
            ),
            Status.INCONSISTENT,
            None,
            id="nothing-with-another-root",
        ),
        pytest.param(b"old 100\n\n" + LOG.sign(f"{ORIGIN}\n"), Status.MALFORMED, None, id="text"),
        pytest.param(b"old 100", Status.MALFORMED, None, id="no-request"),
    ],
)
def test_the_specification_s_code_is_answered_when_nothing_is_cosigned(
    tmp_path: Path, body: bytes, status: Status, size: int | None
) -> None:
    one = witness(tmp_path)
    accepted(one, HONEST.body(0, 100))
    answer = refused(one, body)
    assert (answer.status, answer.size) == (status, size)
    assert one.store.held(ORIGIN).size == 100
    accepted(one, HONEST.body(100, 200))


def test_a_first_checkpoint_is_refused_when_it_comes_with_a_proof(tmp_path: Path) -> None:
    body = format_request(Request(old_size=0, proof=(bytes(32),), note=HONEST.note(5)))
    assert refused(witness(tmp_path), body).status is Status.INCONSISTENT


def test_only_the_log_s_and_the_own_signature_are_kept_when_strangers_signed_too(
    tmp_path: Path,
) -> None:
    one = witness(tmp_path)
    stranger = SIGNERS[1].cosign(HONEST.checkpoint(5).text, at_s=AT_S)
    line = accepted(one, HONEST.body(0, 5) + str(stranger).encode() * 99)
    kept = one.store.find_note(ORIGIN)
    assert kept == HONEST.note(5) + line.encode()
    assert open_note(kept, LOG.verifier) == HONEST.checkpoint(5).text


@pytest.mark.parametrize("old", [" 10", "+10", "010", "-5", "1_0", "10 ", "٣", "", "9" * 20])
def test_a_request_is_refused_when_its_old_size_is_not_canonical(old: str) -> None:
    with pytest.raises(InvalidBytes):
        parse_request(f"old {old}\n\n".encode() + HONEST.note(5))


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(f"old 1\n{HASH[:-1]}", id="padding-missing"),
        pytest.param(f"old 1\n{HASH[:-2]}B=", id="padding-bits"),
        pytest.param(f"old 1\n{base64.b64encode(bytes(31)).decode()}", id="hash-31-bytes"),
        pytest.param(f"old 1\n{base64.b64encode(bytes(33)).decode()}", id="hash-33-bytes"),
        pytest.param("old 1\n" + "\n".join([HASH] * 64), id="hashes-64"),
        pytest.param(f"old 1\r\n{HASH}", id="carriage-return"),
        pytest.param(f"{HASH}\nold 1", id="old-size-last"),
        pytest.param("new 1", id="another-word"),
        pytest.param("old  1", id="two-spaces"),
        pytest.param("Old 1", id="capital"),
    ],
)
def test_a_request_is_refused_when_it_is_malformed(head: str) -> None:
    with pytest.raises(InvalidBytes):
        parse_request(head.encode() + b"\n\n" + HONEST.note(5))


def test_a_request_is_refused_when_it_is_too_long() -> None:
    with pytest.raises(InvalidBytes):
        parse_request(b"old 1\n\n" + b"x" * 128 * 1024)


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_reads_back_when_it_was_written(old: int, proof: list[bytes]) -> None:
    request = Request(old_size=old, proof=tuple(proof), note=HONEST.note(5))
    assert parse_request(format_request(request)) == request


BODY = HONEST.body(100, 200)


@given(st.binary(max_size=60) | st.tuples(st.integers(0, len(BODY) - 1), st.binary(max_size=2)))
def test_a_changed_request_has_one_spelling_when_it_can_be_read(
    change: bytes | tuple[int, bytes],
) -> None:
    match change:
        case bytes():
            data = change
        case place, new:
            data = BODY[:place] + new + BODY[place + 1 :]
    try:
        request = parse_request(data)
    except InvalidBytes:
        return
    assert format_request(request) == data


def test_exactly_one_is_accepted_when_two_futures_race(tmp_path: Path) -> None:
    """Two histories of one size, told at once to one store through two witnesses' objects."""
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        pair = [witness(folder), witness(folder)]
        accepted(pair[0], HONEST.body(0, 90))
        start, answers = threading.Barrier(2), list[str | Refusal]()

        def tell(
            one: Witness,
            log: FakeLog,
            start: threading.Barrier = start,
            answers: list[str | Refusal] = answers,
        ) -> None:
            start.wait()
            answers.append(one.add_checkpoint(log.body(90, 100)))

        threads = [
            threading.Thread(target=tell, args=args)
            for args in zip(pair, (HONEST, SPLIT), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        assert [(r.status, r.size) for r in refusals] == [(Status.STALE, 100)]


def test_nothing_is_cosigned_when_the_store_is_no_longer_a_store(tmp_path: Path) -> None:
    one = witness(tmp_path)
    accepted(one, HONEST.body(0, 90))
    one.store.close()
    with pytest.raises(Unavailable):
        one.add_checkpoint(HONEST.body(90, 100))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/store.db").write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable):
        witness(tmp_path / "broken")


class Differing:
    """A mirror whose own copy leads elsewhere."""

    def copy(self, submitted: Submitted) -> None:
        raise EvidenceBroken(f"another root of size {submitted.checkpoint.size}")


def test_a_mirror_does_not_cosign_when_its_copy_leads_elsewhere(tmp_path: Path) -> None:
    mirror = Witness(
        signer=SIGNERS[0],
        logs={ORIGIN: LOG.verifier},
        store=WitnessStore(tmp_path / "store.db"),
        copying=Differing(),
    )
    with pytest.raises(EvidenceBroken):
        mirror.add_checkpoint(HONEST.body(0, 90))
    assert mirror.store.held(ORIGIN).size == 0


def test_the_empty_log_is_cosigned_when_it_is_new(tmp_path: Path) -> None:
    line = accepted(witness(tmp_path), HONEST.body(0, 0))
    note = parse_note(HONEST.note(0) + line.encode())
    assert note.unverified_text.endswith(f"0\n{base64.b64encode(EMPTY_ROOT).decode()}\n")
