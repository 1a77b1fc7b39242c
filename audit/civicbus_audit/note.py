"""C2SP signed-note: text, an empty line, signature lines. Ed25519 only (type 0x01). Pure.

The text of a note means nothing until a known key has signed it: `open_note` is the only way to it.
Signatures of witnesses have a type of their own (`cosignature`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from civicbus_schemas.errors import EvidenceBroken
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from civicbus_audit.canonical import malformed, parse_base64, to_base64

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100  # as Go's golang.org/x/mod/sumdb/note

ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_DASH = "— "


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line: the signer's name, its 4-byte key id, and the signature's bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A known key: its name and its 32-byte Ed25519 public key."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), first 4 bytes."""
        return key_id_of(self.name, ED25519, self.public_key)

    def __str__(self) -> str:
        return format_vkey(self.name, ED25519, self.public_key)

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """The verifier key `name+hex key id+base64(0x01 ‖ public key)`."""
        name, public_key = parse_vkey(vkey, ED25519)
        return cls(name=name, public_key=public_key)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the text."""
        return ed25519_verifies(self.public_key, signature, text.encode())


class Signer:
    """A private key with its name."""

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes_raw()
        self.verifier = Verifier(name=checked_name(name), public_key=public)

    def sign(self, text: str) -> bytes:
        """The text as a note with this one signature."""
        _check_text(text)
        signature = Signature(
            name=self.verifier.name,
            key_id=self.verifier.key_id,
            signature=self._key.sign(text.encode()),
        )
        return f"{text}\n{signature}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note whose form is right; nobody has vouched for its text yet."""

    unverified_text: str
    signatures: tuple[Signature, ...]


def parse_note(data: bytes) -> Note:
    """The parts of a note; raises `InvalidBytes` on the slightest departure from the format."""
    if len(data) > MAX_NOTE_BYTES:
        malformed("the note is too long", got=f"{len(data)} bytes", expected=MAX_NOTE_BYTES)
    try:
        document = data.decode("utf-8")
    except UnicodeDecodeError:
        malformed("the note is not UTF-8")
    head, separator, tail = document.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        malformed("the note has no signatures", expected="an empty line, then signature lines")
    text = head + "\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        malformed("the note has too many signatures", got=len(lines), expected=MAX_SIGNATURES)
    return Note(unverified_text=text, signatures=tuple(map(parse_signature, lines)))


def open_note(data: bytes, *verifiers: Verifier) -> str:
    """The text of a note that at least one of these keys signed.

    Unknown signers are ignored; a wrong signature under a known name and key id breaks the note.
    """
    note = parse_note(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    accepted = 0
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        if not verifier.verifies(note.unverified_text, line.signature):
            raise EvidenceBroken(f"the signature by {line.name!a} is wrong")
        accepted += 1
    if not accepted:
        raise EvidenceBroken(
            "no known key signed the note",
            got=_names(line.name for line in note.signatures),
            expected=_names(verifier.name for verifier in verifiers),
        )
    return note.unverified_text


def parse_signature(line: str) -> Signature:
    """The parts of a signature line, given without its newline."""
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not encoded:
        malformed("not a signature line", expected="— <name> <base64>")
    data = parse_base64(encoded, what="a signature")
    if len(data) <= _KEY_ID_BYTES:
        malformed("a signature is too short", got=f"{len(data)} bytes")
    return Signature(
        name=checked_name(name), key_id=data[:_KEY_ID_BYTES], signature=data[_KEY_ID_BYTES:]
    )


def key_id_of(name: str, kind: bytes, public_key: bytes) -> bytes:
    """SHA-256(name ‖ 0x0A ‖ signature type ‖ public key), first 4 bytes."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:_KEY_ID_BYTES]


def format_vkey(name: str, kind: bytes, public_key: bytes) -> str:
    """`name+hex key id+base64(signature type ‖ public key)`."""
    key_id = key_id_of(name, kind, public_key)
    return f"{name}+{key_id.hex()}+{to_base64(kind + public_key)}"


def parse_vkey(vkey: str, kind: bytes) -> tuple[str, bytes]:
    """Name and 32-byte public key of a verifier key of this signature type."""
    name, _, rest = vkey.partition("+")
    key_id, plus, encoded = rest.partition("+")
    if not plus:
        malformed("not a verifier key", expected="<name>+<key id>+<base64>")
    material = parse_base64(encoded, what="the verifier key")
    if material[:1] != kind or len(material) != 33:
        malformed(
            "the verifier key is of another type",
            got=f"0x{material[:1].hex()}, {len(material) - 1} bytes",
            expected=f"0x{kind.hex()}, 32 bytes",
        )
    if key_id != key_id_of(checked_name(name), kind, material[1:]).hex():
        malformed("the verifier key's id does not fit its name and key", got=ascii(key_id[:16]))
    return name, material[1:]


def ed25519_verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether this key made the signature over the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def checked_name(name: str) -> str:
    """The key's name, if it may be one."""
    if not name or "+" in name or any(c.isspace() or c < " " or _half(c) for c in name):
        malformed("a key's name is wrong", expected="no white space and no '+'")
    return name


def _half(character: str) -> bool:
    """Whether it is half of a surrogate pair, which has no UTF-8."""
    return "\ud800" <= character <= "\udfff"


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        malformed("a note's text does not end in a newline")
    if any(c < " " and c != "\n" for c in text):
        malformed("a note has a control character")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted({ascii(name) for name in names})) or "nobody"
