"""The citizen's usage service as Estonia's data tracker specifies it (e-gov/AJ, OpenAPI 2.0.0).

    GET /findUsage?userCode=…&periodStart=…&periodEnd=…&offset=…&limit=…     X-Road-UserId: …
    GET /usagePeriod        GET /heartbeat

The specification leaves identity to X-Road's security server; here a citizen's token says who asks,
and `X-Road-UserId` and `userCode` must be that person. The usages have members beyond its five.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from civicbus_audit.index.searching import Entry
from civicbus_audit.presenting import LOCAL_TIME
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.problems import Problem, preferred_language
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.desk import Slice
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem, malformed
from civicbus_consumers.officers.rules import Citizen, Find, QueryPurpose, Question
from civicbus_consumers.officers.service import authorization_of, json_response
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.officers.words import WordBook

DEFAULT_LIMIT = MAX_LIMIT = 1_000
MAX_OFFSET = 100_000
USER_ID = "X-Road-UserId"

_PARAMETERS = {"userCode", "periodStart", "periodEnd", "offset", "limit"}
_CODE = re.compile(r"(?:VN)?([0-9]{12})")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerService:
    """The three calls and what they stand on."""

    counter: Counter
    words: WordBook

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [
            Route("/findUsage", self.find_usage, methods=["GET"]),
            Route("/usagePeriod", self.usage_period, methods=["GET"]),
            Route("/heartbeat", self.heartbeat, methods=["GET"]),
        ]

    async def find_usage(self, request: Request) -> Response:
        """Who used the citizen's data, the newest first; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        told = _told(request)
        _check_person(holder, request.headers.get(USER_ID), told.get("userCode"))
        wanted = Slice(
            limit=_whole(told, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
            offset=_whole(told, "offset", default=0, least=0, most=MAX_OFFSET),
            counted=True,
        )
        question = Question(find=_find(told), purpose=QueryPurpose.OWN_DATA)
        trace = request.headers.get("traceparent")
        answer = await self.counter.slice(holder, question, wanted, trace=trace)
        language = preferred_language(request.headers.get("accept-language", ""))
        return json_response(
            {
                "totalUsages": answer.total,
                "hiddenUsages": answer.hidden,
                "notIndexed": answer.extent.later,
                "usages": [self._usage(holder, entry, language) for entry in answer.rows],
            }
        )

    async def usage_period(self, request: Request) -> Response:
        """From when on usages are kept; raises `Problem`."""
        del request
        begun_at = await self.counter.begun_at()
        if begun_at is None:
            raise OfficersProblem(OfficersCode.NOT_YET_SEALED)
        return json_response({"periodStart": begun_at.isoformat()})

    async def heartbeat(self, request: Request) -> Response:
        """Whether usages could be found now."""
        del request
        try:
            await self.counter.extent()
        except Problem as problem:
            return json_response({"status": "FAIL", "message": problem.told("en")[0]})
        return json_response({"status": "OK", "message": "API is ready"})

    def _usage(self, holder: Pass, entry: Entry, language: str) -> dict[str, Any]:
        receiver = entry.recipient or entry.actor or ""
        usage = {
            "logtime": entry.at and entry.at.isoformat(),
            "action": self.words.purpose(entry.purpose or entry.kind, language),
            "receiverCode": receiver,
            "receiverName": self.words.agency(receiver, language),
            "receiverSystem": entry.system or "",
            "recordId": entry.id,
            "proof": self.counter.proof_path(holder, entry),
        }
        if entry.basis:
            usage["legalBasis"] = self.words.basis(entry.basis, language)
        return usage


def _told(request: Request) -> Mapping[str, str]:
    pairs = request.query_params.multi_items()
    told = dict(pairs)
    if not told.keys() <= _PARAMETERS or len(told) < len(pairs):
        raise malformed(
            "query",
            got="a parameter that is not known, or comes twice",
            expected=", ".join(sorted(_PARAMETERS)),
            next_step="leave it out",
        )
    return told


def _check_person(holder: Pass, *codes: str | None) -> None:
    """Everything that names a person names the citizen of the token."""
    asker = holder.asker
    numbers = [_CODE.fullmatch(code or "") for code in codes]
    if not isinstance(asker, Citizen) or any(
        number is None or number[1] != asker.pin.number for number in numbers
    ):
        raise OfficersProblem(OfficersCode.NOT_THE_PERSON)


def _find(told: Mapping[str, str]) -> Find:
    since, until = _time(told, "periodStart"), _time(told, "periodEnd")
    if since and until and until <= since:
        raise malformed(
            "periodEnd",
            got="an end that is not after periodStart",
            expected="periodStart before periodEnd",
            next_step="exchange them",
        )
    return Find(since=since, until=until)


def _time(told: Mapping[str, str], name: str) -> datetime | None:
    if name not in told:
        return None
    try:
        time = datetime.fromisoformat(told[name].replace(" ", "+"))  # a plus that was not escaped
    except ValueError:
        time = None
    if time is None or not 1900 <= time.year < 9000:
        raise malformed(
            name,
            got=f"{len(told[name])} characters",
            expected="a date-time (RFC 3339); Vietnam's time where it names no zone",
            next_step=f"correct {name}",
        )
    return time if time.tzinfo else time.replace(tzinfo=LOCAL_TIME)


def _whole(told: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = told.get(name, str(default))
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise malformed(
            name,
            got=f"{len(text)} characters",
            expected=f"a whole number from {least} to {most}",
            next_step=f"correct {name}",
        )
    return int(text)
