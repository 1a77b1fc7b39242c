"""`POST /v1/audit/reports`: a week of officials' acts, for a supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import read_body
from civicbus_consumers.lookup.problems import LANGUAGES
from civicbus_consumers.officers.answers import range_document
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.request import MAX_BODY_BYTES
from civicbus_consumers.officers.service import authorization_of, json_response
from civicbus_consumers.officers.side_room import SideRoom
from civicbus_consumers.officers.weekly.desk import ReportDesk, Told
from civicbus_consumers.officers.weekly.request import parse_week
from civicbus_consumers.officers.weekly.rules import Compared, OfficialsWeek
from civicbus_consumers.officers.weekly.sentences import line_of

PATH = "/v1/audit/reports"

log = structlog.get_logger("civicbus.officers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportService:
    """The endpoint and what it stands on; one report is made at a time."""

    counter: Counter
    desk: ReportDesk
    body_timeout_s: float
    _room: SideRoom = field(
        default_factory=lambda: SideRoom("reports", seats=1), init=False, repr=False
    )

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route(PATH, self.report, methods=["POST"])]

    async def report(self, request: Request) -> Response:
        """The report of a week; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        now = datetime.now(UTC)
        week = parse_week(body, now=now)
        told = await self._room.off_loop(lambda: self.desk.report(holder, week))
        log.info("reported", role=holder.asker.role, agency=holder.asker.agency, week=str(week))
        return json_response(report_document(told, now=now))


def report_document(told: Told, *, now: datetime) -> dict[str, Any]:
    """The whole report; officials go by the names that the trail shows."""
    report = told.report
    return {
        "receipt": told.receipt.document(),
        "week": str(report.week),
        "since": report.week.starts.isoformat(),
        "until": report.week.ends.isoformat(),
        "ended": report.week.ends <= now,
        "range": range_document(told.find, told.extent),
        "left_out": {"own": report.own, "unnamed": report.unnamed},
        "officials": [_official(one) for one in report.officials],
    }


def _official(one: OfficialsWeek) -> dict[str, Any]:
    return {
        "agency": one.agency,
        "officer": one.officer,
        "kinds": one.kinds,
        "purposes": one.purposes,
        "cases": one.cases,
        "exports_by_two": one.by_two,
        "measures": {compared.measure: _measure(compared) for compared in one.compared},
        "stands_out": [
            {"measure": compared.measure}
            | {language: line_of(compared, language) for language in LANGUAGES}
            for compared in one.outstanding
        ],
    }


def _measure(compared: Compared) -> dict[str, Any]:
    return {
        "count": compared.count,
        "median_before": compared.own,
        "median_of_others": compared.others,
    }
