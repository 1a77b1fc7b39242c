"""What is a dead letter, and why; the other messages are read."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_consumers.enforcement.rules import DeadLetter, Event, Taken, read_event
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import MAX_EVENT_BYTES
from civicbus_schemas.vocabulary import Reason

from tests.fakes.enforcement import ready
from tests.unit import enforcement_samples as samples


def read(message: Taken) -> Event | DeadLetter:
    plan = ready(samples.policy()).plan
    return read_event(message, plan, type_of=samples.type_of, topic_key=samples.TOPIC_KEY)


def test_event_is_read_when_all_is_well() -> None:
    event = read(samples.taken(3))
    assert isinstance(event, Event)
    assert event.people["child"] == (samples.CHILD,)
    assert len(event.people["parents"]) == 2
    assert (event.source.offset, event.source.id) == (3, "event-0-3")


def _without(name: str) -> list[tuple[str, bytes]]:
    return [(n, v) for n, v in samples.taken().headers if n != name]


def _with(name: str, value: bytes) -> list[tuple[str, bytes]]:
    return [(n, value if n == name else v) for n, v in samples.taken().headers]


_GOOD = samples.taken().value or b""
_SPOILT: list[tuple[str, dict[str, Any], Reason]] = [
    ("header missing", {"headers": _without("ce_id")}, Reason.MALFORMED_HEADERS),
    ("headers none", {"headers": []}, Reason.MALFORMED_HEADERS),
    ("source of another agency", {"headers": _with("ce_source", b"/agencies/vss")},
     Reason.MALFORMED_HEADERS),
    ("header injected", {"headers": _with("ce_id", b"a\r\nx: y")}, Reason.MALFORMED_HEADERS),
    ("unknown type", {"headers": _with("ce_type", b"civil-status.Nothing")},
     Reason.UNKNOWN_EVENT_TYPE),
    ("view as an event", {"headers": _with("ce_type", b"population.Person")},
     Reason.UNKNOWN_EVENT_TYPE),
    ("no value", {"value": None}, Reason.MALFORMED_BYTES),
    ("no frame", {"value": b"\x01" + _GOOD[1:]}, Reason.MALFORMED_BYTES),
    ("unknown schema id", {"value": frame(99, _GOOD[5:])}, Reason.UNKNOWN_SCHEMA),
    ("truncated", {"value": _GOOD[:-3]}, Reason.MALFORMED_BYTES),
    ("bytes left over", {"value": _GOOD + b"\0"}, Reason.MALFORMED_BYTES),
    ("too large", {"value": b"\0" * (MAX_EVENT_BYTES + 1)}, Reason.TOO_LARGE),
    ("no key", {"key": None}, Reason.KEY_MISMATCH),
    ("number in clear as key", {"key": b"001324012345"}, Reason.KEY_MISMATCH),
    ("somebody else's key",
     {"key": topic_pseudonym(samples.TOPIC_KEY, Pin("001190000001")).encode()},
     Reason.KEY_MISMATCH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"), [(c, r) for _, c, r in _SPOILT], ids=[name for name, _, _ in _SPOILT]
)
def test_message_is_a_dead_letter_when_it_is_spoilt(
    changes: dict[str, Any], reason: Reason
) -> None:
    letter = read(samples.taken(9, **changes))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.source.offset) == (reason, 9)
    assert letter.value == changes.get("value", _GOOD), "the original bytes must stay untouched"


def test_dead_letter_headers_hold_coordinates_and_reason_only() -> None:
    letter = read(samples.taken(9, key=b"001324012345"))
    assert isinstance(letter, DeadLetter)
    assert letter.headers == [
        ("dlq_topic", b"src.moj.civil-status.v1"),
        ("dlq_partition", b"0"),
        ("dlq_offset", b"9"),
        ("dlq_reason", b"key-mismatch"),
    ]


def test_silent_registry_is_no_judgement() -> None:
    def silent(_: int) -> Any:
        raise Unavailable("the registry does not answer")

    plan = ready(samples.policy()).plan
    with pytest.raises(Unavailable):
        read_event(samples.taken(), plan, type_of=silent, topic_key=samples.TOPIC_KEY)
