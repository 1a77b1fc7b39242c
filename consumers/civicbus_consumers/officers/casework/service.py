"""`POST /v1/audit/cases/{act}`: what is done to cases, and the files of an agency (`list`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import read_body
from civicbus_consumers.officers.casework.acts import Act, Entry, File
from civicbus_consumers.officers.casework.desk import CaseDesk
from civicbus_consumers.officers.casework.request import parse_demand
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.request import MAX_BODY_BYTES
from civicbus_consumers.officers.service import authorization_of, json_response

PATH = "/v1/audit/cases"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseService:
    """The endpoints and what they stand on."""

    counter: Counter
    desk: CaseDesk
    body_timeout_s: float

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route(f"{PATH}/{act}", self.act, methods=["POST"], name=act) for act in Act]

    async def act(self, request: Request) -> Response:
        """Do one act; raises `Problem`."""
        act = Act(request.url.path.rpartition("/")[2])
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        demand = parse_demand(act, body)
        done = await self.counter.off_loop(lambda: self.desk.act(holder, demand))
        told: dict[str, Any] = {"receipt": done.receipt.document()}
        if act is Act.LIST:
            told["cases"] = [_file(one) for one in done.files]
        else:
            told["case"] = demand.case
        return json_response(told)


def _file(file: File) -> dict[str, Any]:
    case = file.case
    return {
        "case": case.id,
        "open": case.is_open,
        "opened_at": case.opened_at.isoformat(),
        "closed_at": case.closed_at and case.closed_at.isoformat(),
        "acts": [_entry(one) for one in file.entries],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "act": entry.act,
        "at": entry.at.isoformat(),
        "officer": entry.officer,
        **entry.told,
        "record_id": entry.record_id,
    }
