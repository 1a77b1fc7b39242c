"""`POST /v1/audit/exports`, `/ordered` with an order of two: a bundle, made whole, then streamed.

One is made at a time: each reads the whole ledger. Headers name its record.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from civicbus_consumers.lookup.door import NO_STORE, read_body
from civicbus_consumers.officers.client import RECORD_HEADER
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.exporting import ExportDesk, Exported
from civicbus_consumers.officers.order_service import read_given
from civicbus_consumers.officers.request import MAX_BODY_BYTES, parse_export
from civicbus_consumers.officers.rules import Asker
from civicbus_consumers.officers.service import authorization_of
from civicbus_consumers.officers.side_room import SideRoom

PATH = "/v1/audit/exports"
ORDERED_PATH = f"{PATH}/ordered"
LEAF_HASH_HEADER = "Civicbus-Leaf-Hash"
_ZIP = "application/zip"
_CHUNK = 1 << 16

log = structlog.get_logger("civicbus.officers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportService:
    """The endpoint and what it stands on."""

    counter: Counter
    desk: ExportDesk
    body_timeout_s: float
    _room: SideRoom = field(
        default_factory=lambda: SideRoom("exports", seats=1), init=False, repr=False
    )

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [
            Route(PATH, self.export, methods=["POST"]),
            Route(ORDERED_PATH, self.export_ordered, methods=["POST"]),
        ]

    async def export(self, request: Request) -> Response:
        """The bundle; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        question = parse_export(body)
        exported = await self._room.off_loop(lambda: self.desk.export(holder, question))
        return _handed_out(exported, to=holder.asker)

    async def export_ordered(self, request: Request) -> Response:
        """The bundle that an order of two asks for, to the first of them. Raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        given = read_given(body, issuers=self.counter.issuers)
        exported = await self._room.off_loop(lambda: self.desk.export_ordered(holder, given))
        return _handed_out(exported, to=holder.asker)


def _handed_out(exported: Exported, *, to: Asker) -> Response:
    receipt, size = exported.receipt, os.fstat(exported.bundle.fileno()).st_size
    log.info("exported", role=to.role, agency=to.agency, bytes=size)
    headers = {
        **NO_STORE,
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{receipt.record_id}.zip"',
        RECORD_HEADER: receipt.record_id,
        LEAF_HASH_HEADER: receipt.leaf_hash,
    }
    return StreamingResponse(_chunks(exported.bundle), media_type=_ZIP, headers=headers)


def _chunks(bundle: BinaryIO) -> Iterator[bytes]:
    with bundle:
        while chunk := bundle.read(_CHUNK):
            yield chunk
