"""A proof of completeness as a file: values, and the one spelling of their JSON. Pure.

It carries leaves: the index commits from leaf 0 on without hole (or from where a leaf that prunes
says, which is there too), and every leaf that they or the re-scan behind the last of them name. One
multiproof leads all of them to the signed checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import InvalidBytes, Refused

from civicbus_audit.canonical import HASH_BYTES, parse_base64, parse_hash, to_base64
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.tree import ENTRY_BYTES, Absent, Answer, Present

FORMAT = "civicbus-completeness@v1"
_MAX = 1 << 53  # what every reader of JSON reads alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a commit answers: the salts of `asked.sorts`, and what it filed under `asked.names`."""

    salts: tuple[bytes, ...]
    filed: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the file holds; nothing of it is believed before `verifying` has.

    `answers[i]`: what the i-th commit that overlaps the period answers. `hidden`: how many readings
    of investigations that go on a re-scan counted, in a citizen's proof and only there. `pruned`:
    the leaf that says why the proof does not begin at leaf 0; a whole ledger's file has no such.
    """

    asked: Asked
    hidden: int | None
    checkpoint: bytes
    leaves: tuple[tuple[int, bytes], ...]
    proof: tuple[bytes, ...]
    answers: tuple[Answers, ...]
    pruned: int | None = None

    def encode(self) -> bytes:
        """The file's bytes: one line of JSON as RFC 8785 spells it."""
        asked = self.asked
        document = {
            "format": FORMAT,
            "by": asked.by,
            "names": list(asked.texts),
            "since": asked.since and asked.since.astimezone(UTC).isoformat(),
            "until": asked.until and asked.until.astimezone(UTC).isoformat(),
            "hidden": self.hidden,
            "checkpoint": self.checkpoint.decode(),
            "leaves": [[index, to_base64(leaf)] for index, leaf in self.leaves],
            "proof": [to_base64(hash_) for hash_ in self.proof],
            "answers": [_answers_document(answers) for answers in self.answers],
        }
        if self.pruned is not None:
            document["pruned"] = self.pruned
        return canonical_json(document) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Document:
        """The document of a file's bytes; raises `InvalidBytes` unless it is spelled as here."""
        try:
            told = json.loads(data)
            if told["format"] != FORMAT:
                raise InvalidBytes("another format", expected=FORMAT)
            document = cls(
                asked=_asked(told),
                hidden=None if told["hidden"] is None else _whole(told["hidden"]),
                checkpoint=told["checkpoint"].encode(),
                leaves=tuple((_whole(index), _content(leaf)) for index, leaf in told["leaves"]),
                proof=_hashes(told["proof"]),
                answers=tuple(map(_answers, told["answers"])),
                pruned=_whole(told["pruned"]) if "pruned" in told else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InvalidBytes("not a proof of completeness", expected=FORMAT) from None
        except InvalidBytes:
            raise
        except Refused as error:
            raise InvalidBytes(f"a proof of completeness asks amiss: {error}") from None
        if document.encode() != data:
            raise InvalidBytes("a proof of completeness is not in its one spelling")
        return document


def _asked(told: dict[str, Any]) -> Asked:
    asked = Asked(
        by=By(told["by"]),
        texts=tuple(told["names"]),
        since=_time(told["since"]),
        until=_time(told["until"]),
        as_citizen=told["hidden"] is not None,
    )
    _ = asked.names  # each of them is a name
    return asked


def _answers_document(answers: Answers) -> dict[str, Any]:
    return {
        "salts": [to_base64(salt) for salt in answers.salts],
        "filed": [_answer_document(answer) for answer in answers.filed],
    }


def _answers(told: dict[str, Any]) -> Answers:
    return Answers(salts=_hashes(told["salts"]), filed=tuple(map(_answer, told["filed"])))


def _answer_document(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"place": answer.place, "proof": [to_base64(h) for h in answer.proof]}
    match answer:
        case Present():
            return told | {"leaves": list(answer.leaves)}
        case Absent():
            return told | {"neighbours": [to_base64(entry) for entry in answer.neighbours]}


def _answer(told: dict[str, Any]) -> Answer:
    place, proof = _whole(told["place"]), _hashes(told["proof"])
    if "leaves" in told:
        return Present(place=place, leaves=tuple(map(_whole, told["leaves"])), proof=proof)
    neighbours = tuple(_entry(text) for text in told["neighbours"])
    return Absent(place=place, neighbours=neighbours, proof=proof)


def _hashes(told: list[str]) -> tuple[bytes, ...]:
    return tuple(parse_hash(text, what=f"one of {HASH_BYTES}-byte hashes") for text in told)


def _entry(text: str) -> bytes:
    entry = parse_base64(text, what="a neighbour")
    if len(entry) != ENTRY_BYTES:
        raise InvalidBytes("a neighbour is no entry", got=f"{len(entry)} bytes")
    return entry


def _content(text: str) -> bytes:
    return parse_base64(text, what="a leaf")


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX:
        raise InvalidBytes("not a whole number that a proof may hold")
    return value


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise InvalidBytes("a time names no zone")
    return time.astimezone(UTC)
