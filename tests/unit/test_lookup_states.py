"""What look-ups are decided on: without policy, or with what nobody may write, nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from civicbus_consumers.lookup.states import LOADING_S, States, offset_of
from civicbus_consumers.recording.wiring import PROMPT_S
from civicbus_consumers.runtime.trust import open_policy
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.errors import Stopped
from civicbus_schemas.page import Position
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.topics import STATE_CONSENT, STATE_POLICY

from tests.unit import lookup_samples as samples
from tests.unit import statement_samples as signed


@dataclass(frozen=True)
class _Message:
    """A message as confluent-kafka gives it."""

    of: str
    the_key: bytes | None
    the_value: bytes | None

    def topic(self) -> str:
        return self.of

    def key(self) -> bytes | None:
        return self.the_key

    def value(self) -> bytes | None:
        return self.the_value

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 9


class _Tail:
    """Gives the messages of the next catching up."""

    def __init__(self, *rounds: Sequence[_Message]) -> None:
        self._rounds = list(rounds)
        self.timeouts: list[float] = []

    def catch_up(self, apply: Callable[[Any], None], *, timeout_s: float) -> tuple[Position, ...]:
        self.timeouts.append(timeout_s)
        for message in self._rounds.pop(0) if self._rounds else ():
            apply(message)
        return (Position(topic=STATE_CONSENT, partition=3, offset=10),)


POLICY = _Message(STATE_POLICY, b"policy", rfc8785.dumps(load_nation().document))


def _states(*rounds: Sequence[_Message]) -> States:
    return States(_Tail(*rounds), open_policy=parse_policy_set)  # type: ignore[arg-type]


def _consent(value: bytes | None, key: bytes | None = b"subject") -> _Message:
    return _Message(STATE_CONSENT, key, value)


def test_newest_state_of_a_subject_holds_when_there_are_several() -> None:
    older, newer = (SubjectConsents((samples.consent(version=v),)) for v in (1, 2))
    states = _states([POLICY, _consent(frame(7, older.encode()))],
                     [_consent(frame(7, newer.encode()))])  # fmt: skip
    positions = states.catch_up()
    assert states.consents_of(b"subject") == older
    assert states.plan.policy == samples.policy().version
    assert offset_of(positions, 3) == 10
    states.catch_up()
    assert states.consents_of(b"subject") == newer
    assert states.consents_of(b"another") == NO_CONSENTS


def test_catching_up_is_prompt_when_the_states_were_loaded() -> None:
    tail = _Tail([POLICY])
    states = States(tail, open_policy=parse_policy_set)  # type: ignore[arg-type]
    states.catch_up()
    states.catch_up()
    assert tail.timeouts == [LOADING_S, PROMPT_S]


def test_process_stops_when_no_policy_is_announced() -> None:
    states = _states()
    with pytest.raises(Stopped, match="no policy set"):
        states.catch_up()
    with pytest.raises(Stopped, match="have not been read"):
        _ = states.plan


@pytest.mark.parametrize(
    "message",
    [
        _consent(None),
        _consent(b"not framed"),
        _consent(frame(7, b""), key=None),
        _Message(STATE_POLICY, b"policy", None),
    ],
)
def test_process_stops_when_a_state_is_what_nobody_may_write(message: _Message) -> None:
    with pytest.raises(Stopped, match="a state cannot be read"):
        _states([POLICY, message]).catch_up()


def test_process_stops_and_keeps_nothing_when_a_policy_is_refused(tmp_path: Path) -> None:
    trust_file = tmp_path / "policy.json"
    trust_file.write_text(json.dumps(signed.trust_document()))
    sound, forged = (
        _Message(STATE_POLICY, b"policy", signed.announcement(signed.approved_document(), by=key))
        for key in ("announcer", "somebody")
    )
    tail = _Tail([sound], [forged])
    states = States(tail, open_policy=partial(open_policy, trust_file=trust_file))  # type: ignore[arg-type]
    states.catch_up()
    with pytest.raises(Stopped, match="refused"):
        states.catch_up()
