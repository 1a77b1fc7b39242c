"""`POST /v1/audit/unread`: which deliveries about him a citizen's recipients have not read yet.

The ledger tells which deliveries there were; another process, which alone may read delivery topics,
is asked by their records which lie unread, and learns of nobody whom they are about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import httpx2
import structlog
from civicbus_audit.index.searching import Entry
from civicbus_audit.query import DISCLOSING
from civicbus_schemas.errors import InvalidBytes, InvalidIdentifier, Unavailable
from civicbus_schemas.ids import RecordId
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import read_body
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.desk import Answer, Slice
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.request import MAX_BODY_BYTES, parse_unread
from civicbus_consumers.officers.rules import Find, QueryPurpose, Question
from civicbus_consumers.officers.service import authorization_of, json_response
from civicbus_consumers.officers.side_room import SideRoom
from civicbus_consumers.unread.rules import MAX_ASKED, Asked, parse_answer

PATH: Final = "/v1/audit/unread"
TIMEOUT_S: Final = 15.0

Since = Mapping[RecordId, datetime]
"""Since when which deliveries lie unread."""

log = structlog.get_logger("civicbus.officers")


class AsksUnread(Protocol):
    """The process that may read delivery topics (`UnreadClient`)."""

    def since(self, asked: Sequence[Asked]) -> Since:
        """Since when which of these lie unread; raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadClient:
    """Asks that process, with the token that it and this one have."""

    url: str
    token: str = field(repr=False)

    def since(self, asked: Sequence[Asked]) -> Since:
        """Since when which of these lie unread; raises `Unavailable`."""
        if not asked:
            return {}
        try:
            response = httpx2.post(
                f"{self.url}/v1/unread",
                json={"deliveries": [one.document() for one in asked]},
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=TIMEOUT_S,
            )
            response.raise_for_status()
            return parse_answer(response.json(), asked)
        except (httpx2.HTTPError, ValueError, InvalidBytes) as error:
            raise Unavailable("nobody tells what lies unread", got=type(error).__name__) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadService:
    """The endpoint. The question is judged and recorded as that for a citizen's own list."""

    counter: Counter
    unread: AsksUnread
    body_timeout_s: float
    _room: SideRoom = field(default_factory=lambda: SideRoom("unread"), init=False, repr=False)

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route(PATH, self.ask, methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """The unread deliveries about the citizen of the token; raises `Problem`.

        1. judge, record and read the newest readings of his data, 2. ask which lie unread.
        """
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        consent = parse_unread(body)
        question = Question(find=Find(), purpose=QueryPurpose.OWN_DATA)
        answer = await self.counter.slice(
            holder, question, Slice(limit=MAX_ASKED), trace=request.headers.get("traceparent")
        )  # 1
        asked = list(delivered(answer.rows, consent))
        try:
            since = await self._room.off_loop(lambda: self.unread.since(asked))  # 2
        except Unavailable as error:
            log.warning("unread is not told", why=error.what)
            receipt = answer.receipt.document()
            raise OfficersProblem(OfficersCode.UNREAD_UNAVAILABLE, receipt=receipt) from None
        return json_response(unread_document(answer, since))


def delivered(rows: Iterable[Entry], consent: str | None) -> Iterator[Asked]:
    """The deliveries by stream among these readings, of one consent where one is named.

    A row that tells of no delivery, whatever its decision, is passed over.
    """
    for row in rows:
        named = consent is None or (row.consent or "").partition("@")[0] == consent
        if named and row.decision in DISCLOSING and (one := _delivery(row)) is not None:
            yield one


def _delivery(row: Entry) -> Asked | None:
    if not (row.id and row.topic and row.recipient and row.at):
        return None
    try:
        return Asked.of(
            record=row.id,
            recipient=row.recipient,
            source=row.topic,
            partition=row.partition or 0,
            at=row.at,
        )
    except InvalidIdentifier as error:
        log.warning("a row is no delivery", leaf=row.index, why=error.what)
        return None


def unread_document(answer: Answer, since: Since) -> dict[str, Any]:
    """The answer as JSON. What it says of a delivery is the ledger's, but for `since`."""
    rows = [row for row in answer.rows if row.id in since]
    return {
        "receipt": answer.receipt.document(),
        "unread": [
            {
                "recipient": row.recipient,
                "agreement": row.agreement,
                "purpose": row.purpose,
                "type": row.dataset,
                "consent": row.consent,
                "record_id": row.id,
                "since": since[RecordId(row.id or "")].isoformat(),
            }
            for row in rows
        ],
        "looked_at": len(answer.rows),
        "not_indexed": answer.extent.later,
        "complete": answer.more is None and not answer.extent.later,
    }
