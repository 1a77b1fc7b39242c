"""A bundle is broken by any one changed byte, and by an exporter who lies; each is named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.note import Signer
from civicbus_audit.standalone import verify as alone
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.pages import AT
from tests.unit.completeness_samples import person
from tests.unit.evidence_samples import (
    EXPORTER,
    KEY,
    ORIGIN,
    POLICY,
    flipped,
    make,
    make_child_bundle,
    make_committed_home,
    make_home,
    request,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bundle(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_child_bundle(home, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles about persons 1 and 2, each with its proof that nothing else matched."""
    folder = tmp_path_factory.mktemp("proved")
    home = make_committed_home(tmp_path_factory.mktemp("committed"))
    assert make(home, folder / "1", request(subject=person(1))) == 6
    assert make(home, folder / "2", request(subject=person(2))) == 2
    shorter = request(subject=person(1), until=AT + timedelta(minutes=1))
    assert make(home, folder / "shorter", shorter) == 4
    return folder


NAMES = ("README.md", "checkpoint", "completeness.json", "exporter.vkey", "leaves.bin",
         "manifest.json", "manifest.sig", "proof.hashes", "records.csv", "records.ndjson",
         "releases.csv", "trust.policy", "verify.py")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_named_when_any_one_byte_of_it_changes(
    bundle: Path, proved: Path, tmp_path: Path, name: str
) -> None:
    whole_bundle = proved / "1" if name == "completeness.json" else bundle
    copy, chance = shutil.copytree(whole_bundle, tmp_path / "copy"), random.Random(name)  # noqa: S311
    whole = (copy / name).read_bytes()
    for _ in range(30):
        flipped(copy / name, chance.randrange(len(whole)))
        with pytest.raises(alone.Broken) as found:
            alone.verify_bundle(copy, POLICY, KEY)
        assert name.partition(".")[0] in str(found.value) or "leaf" in str(found.value)
        (copy / name).write_bytes(whole)
    (copy / name).write_bytes(whole + b"\n")
    with pytest.raises(alone.Broken):
        alone.verify_bundle(copy, POLICY, KEY)
    (copy / name).unlink()
    with pytest.raises(alone.Broken, match=name):
        alone.verify_bundle(copy, POLICY, KEY)


def test_every_byte_of_a_zip_matters_when_it_flips(home: Path, tmp_path: Path) -> None:
    """All headers byte by byte, and some thousand bytes of the content."""
    target, chance = tmp_path / "x.zip", random.Random(3)  # noqa: S311
    make(home, target, request(case_id="c" * 32, since=AT + timedelta(minutes=1)))
    whole = target.read_bytes()
    alone.verify_bundle(target, POLICY, KEY)
    ends = len(whole) - whole.index(b"PK\x01\x02")
    heads = [
        at + i for at in range(len(whole)) if whole[at : at + 4] == b"PK\x03\x04" for i in range(44)
    ]
    places = [*heads, *range(len(whole) - ends, len(whole)), *chance.sample(range(len(whole)), 400)]
    for place in places:
        target.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        with pytest.raises(alone.Broken):
            alone.verify_bundle(target, POLICY, KEY)
    for changed in (whole + b"\x00", whole[:-1], b"x" + whole, whole[:40], b""):
        target.write_bytes(changed)
        with pytest.raises(alone.Broken):
            alone.verify_bundle(target, POLICY, KEY)


def test_a_zip_is_refused_when_it_is_longer_than_its_headers_can_tell(tmp_path: Path) -> None:
    with (tmp_path / "x.zip").open("wb") as sparse:
        sparse.truncate(1 << 32)
    with pytest.raises(alone.Broken, match="longer than"):
        alone.verify_bundle(tmp_path / "x.zip", POLICY, KEY)


def _resign(copy: Path, change: Callable[[dict[str, object]], object]) -> None:
    """The exporter himself lies in his manifest."""
    from hashlib import sha256

    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["files"] = {n: f for n, f in manifest["files"].items() if (copy / n).exists()}
    for name in manifest["files"]:
        data = (copy / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}
    change(manifest)
    data = json.dumps(manifest).encode()
    (copy / "manifest.json").write_bytes(data)
    note = EXPORTER.sign(f"civicbus evidence v1\n{sha256(data).hexdigest()}\n")
    (copy / "manifest.sig").write_bytes(note)


def _drop_last_record(copy: Path) -> None:
    for name in ("records.ndjson", "records.csv", "releases.csv"):
        lines = (copy / name).read_bytes().splitlines(keepends=True)
        (copy / name).write_bytes(b"".join(lines[:-1]))
    leaf = json.loads((copy / "records.ndjson").read_bytes().splitlines()[-1])
    data = (copy / "leaves.bin").read_bytes()
    end = data.rindex(leaf["index"].to_bytes(8, "big"))
    (copy / "leaves.bin").write_bytes(data[: end + 10 + int.from_bytes(data[end + 8 : end + 10])])


def _replaced(name: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    """The first such bytes of a file are others."""
    return lambda copy: (copy / name).write_bytes((copy / name).read_bytes().replace(old, new, 1))


def _appended(name: str, more: bytes) -> Callable[[Path], object]:
    return lambda copy: (copy / name).write_bytes((copy / name).read_bytes() + more)


LIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a-record-says-something-else": (
        _replaced("records.ndjson", b'"deny"', b'"dent"'),
        r"records.ndjson, record 1, does not say what leaf 31 says",
    ),
    "a-row-says-something-else": (
        _replaced("records.csv", b"vss", b"vst"),
        r"records.csv, record \d+, does not say what leaf \d+ says",
    ),
    "a-refusal-was-released": (
        _replaced("releases.csv", b",none", b",released"),
        r"releases.csv, record \d+, says what cannot be of leaf \d+",
    ),
    "a-release-is-of-another-leaf": (
        _replaced("releases.csv", b"\n31,", b"\n30,"),
        r"releases.csv, record \d+, does not say what leaf 31 says",
    ),
    "a-record-was-left-out": (_drop_last_record, "proof.hashes|root|manifest"),
    "a-hash-was-changed": (lambda c: flipped(c / "proof.hashes", 40), "do not lead to the"),
    "bytes-behind-the-leaves": (
        _appended("leaves.bin", b"x"),
        "leaves.bin cannot be read",
    ),
    "a-hash-too-many": (
        _appended("proof.hashes", bytes(32)),
        "proof.hashes has bytes behind",
    ),
}


@pytest.mark.parametrize(("lie", "named"), LIES.values(), ids=LIES.keys())
def test_the_exporter_himself_is_found_out_when_he_signs_another_content(
    bundle: Path, tmp_path: Path, lie: Callable[[Path], object], named: str
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    _resign(copy, lambda _: None)
    alone.verify_bundle(copy, POLICY, KEY)
    lie(copy)
    _resign(copy, lambda _: None)
    with pytest.raises(alone.Broken, match=named):
        alone.verify_bundle(copy, POLICY, KEY)


def _without_proof(copy: Path) -> None:
    (copy / "completeness.json").unlink()


def _proof_of(other: str) -> Callable[[Path, Path], object]:
    return lambda copy, proved: shutil.copy(proved / other / "completeness.json", copy)


Change = Callable[[dict[str, Any]], object]
PROOFS: dict[str, tuple[Callable[[Path, Path], object], Change, str]] = {
    "of-another-person": (_proof_of("2"), lambda _: None, "another thing than the query"),
    "of-a-shorter-time": (_proof_of("shorter"), lambda _: None, "another thing than the query"),
    "that-covers-more-than-it-does": (
        lambda *_: None, lambda m: m["completeness"].update(covered=14), "another completeness",
    ),
    "that-leaves-nothing-to-his-word": (
        lambda *_: None, lambda m: m["completeness"].update(other_kinds=0), "another completeness",
    ),
    "that-is-hidden-as-his-query-has-none": (
        lambda copy, _: _without_proof(copy),
        lambda m: m["completeness"].update(kind="re-scan", reason="query"),
        "a reason that it has not",
    ),
    "that-is-hidden-as-it-is-long": (
        lambda copy, _: _without_proof(copy),
        lambda m: m["completeness"].update(kind="re-scan", reason="too-many"),
        "a reason that it has not",
    ),
    "that-is-hidden-without-a-word": (
        lambda copy, _: _without_proof(copy),
        lambda m: m["completeness"].update(kind="re-scan"),
        "does not say",
    ),
    "that-is-missing": (lambda copy, _: _without_proof(copy), lambda _: None, "a bundle has"),
    "of-another-query": (
        lambda *_: None, lambda m: m["query"].update(purpose="x"), "another thing than the query",
    ),
    "of-a-time-without-zone": (
        lambda *_: None, lambda m: m["query"].update(since="2026-11-20T12:00:00"), "does not say",
    ),
    "of-no-query": (lambda *_: None, lambda m: m.pop("query"), "does not say"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "tell", "named"), PROOFS.values(), ids=PROOFS.keys())
def test_the_exporter_himself_is_found_out_when_he_signs_a_proof(
    proved: Path, tmp_path: Path, change: Callable[[Path, Path], object], tell: Change, named: str
) -> None:
    copy = shutil.copytree(proved / "1", tmp_path / "copy")
    change(copy, proved)
    _resign(copy, tell)
    with pytest.raises(alone.Broken, match=named):
        alone.verify_bundle(copy, POLICY, KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(records=47),
        lambda m: m.update(size=1),
        lambda m: m.update(origin="elsewhere"),
        lambda m: m.update(root="00" * 32),
        lambda m: m.pop("root"),
        lambda m: m["completeness"].update(leaves_read=1),
        lambda m: m["completeness"].pop("leaves_read"),
        lambda m: m["completeness"].update(leaves_read=float(m["size"])),
        lambda m: m.pop("completeness"),
        lambda m: m["files"]["README.md"].update(bytes=1),
        lambda m: m["files"]["README.md"].pop("bytes"),
        lambda m: m["files"]["README.md"].update(bytes=float(m["files"]["README.md"]["bytes"])),
        lambda m: m["files"]["README.md"].update(more="told"),
        lambda m: m.pop("records"),
        lambda m: m.update(records=True),
        lambda m: m["files"].pop("README.md"),
        lambda m: m["files"].update({"more": {"sha256": "00"}}),
    ],
)
def test_a_manifest_is_refused_when_it_tells_of_another_bundle(
    bundle: Path, tmp_path: Path, change: Callable[[dict[str, object]], object]
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    _resign(copy, change)
    with pytest.raises(alone.Broken):
        alone.verify_bundle(copy, POLICY, KEY)


def test_a_bundle_is_refused_when_others_signed_it_or_a_file_was_added(
    bundle: Path, tmp_path: Path
) -> None:
    stranger = Signer(EXPORTER.verifier.name, Ed25519PrivateKey.from_private_bytes(b"\x05" * 32))
    other = alone.parse_key(str(stranger.verifier), b"\x01")
    with pytest.raises(alone.Broken, match="did not sign"):
        alone.verify_bundle(bundle, POLICY, other)
    foreign = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x05" * 32))
    policy = alone.parse_policy(f"log {foreign.verifier}\nquorum none\n".encode())
    with pytest.raises(alone.Broken, match="was not signed by the log"):
        alone.verify_bundle(bundle, policy, KEY)
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "notes.txt").touch()
    with pytest.raises(alone.Broken, match=r"notes\.txt"):
        alone.verify_bundle(copy, POLICY, KEY)
