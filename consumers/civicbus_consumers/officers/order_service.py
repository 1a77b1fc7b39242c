"""`POST /v1/audit/unsealings`: an order of two officials, carried out.

The order's two tokens say who asks; no other is needed. What is counted and logged names no person.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from civicbus_schemas.ids import AgencyId
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import read_body
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.orders import Given, OrderRefused
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.request import MAX_BODY_BYTES
from civicbus_consumers.officers.service import json_response
from civicbus_consumers.officers.side_room import SideRoom
from civicbus_consumers.officers.token import Issuer
from civicbus_consumers.officers.unsealing import Unsealer

PATH = "/v1/audit/unsealings"

log = structlog.get_logger("civicbus.officers")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderService:
    """The endpoint and what it stands on."""

    unsealer: Unsealer
    issuers: Mapping[AgencyId, Issuer]
    body_timeout_s: float
    _room: SideRoom = field(default_factory=lambda: SideRoom("orders"), init=False, repr=False)

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route(PATH, self.unseal, methods=["POST"])]

    async def unseal(self, request: Request) -> Response:
        """What was sealed beside the record that the order names; raises `Problem`."""
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        given = read_given(body, issuers=self.issuers)
        unsealed = await self._room.off_loop(lambda: self.unsealer.unseal(given))
        log.info("unsealed", agency=given.approved_by.agency)
        return json_response(unsealed.document())


def read_given(body: bytes, *, issuers: Mapping[AgencyId, Issuer]) -> Given:
    """The order in a body, given by two officials now; raises `Problem`."""
    try:
        order, tokens = orders.parse_order(body)
        asked, approved = tokens["request"], tokens.get("approval", "")
        return orders.verify(order, asked, approved, issuers=issuers, now=time.time())
    except OrderRefused as error:
        log.info("order refused", why=error.what)
        raise OfficersProblem(OfficersCode.ORDER_REFUSED) from error
