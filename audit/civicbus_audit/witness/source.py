"""A log's tiles and bundles over HTTP, as a mirror fetches them (`civicbus-audit serve`)."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from threading import Lock

from civicbus_schemas.errors import Unavailable

from civicbus_audit.witness.address import Address

_TIMEOUT_S = 10.0
_MAX_BYTES = 256 * (2 + 65_535)  # a full bundle of the longest leaves


class HttpTiles:
    """Reads paths below one address; one request at a time."""

    def __init__(self, source: str, *, token: str) -> None:
        self._address = Address.parse(source, what="the mirror's source")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._lock = Lock()

    def read(self, path: str) -> bytes:
        """The bytes at a path; raises `FileNotFoundError`, or `Unavailable`."""
        with self._lock:
            connection = self._address.connection(timeout_s=_TIMEOUT_S)
            try:
                connection.request("GET", f"{self._address.prefix}/{path}", headers=self._headers)
                answer = connection.getresponse()
                data: bytes = answer.read(_MAX_BYTES + 1)
            except (OSError, http.client.HTTPException) as error:
                raise Unavailable(
                    "the log's tiles cannot be fetched", got=type(error).__name__
                ) from None
            finally:
                connection.close()
        if answer.status == HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(path)
        if answer.status == HTTPStatus.GONE:
            raise Unavailable(
                "the log has pruned leaves that this mirror never held",
                got=path,
                next_step="begin with a copy of another mirror's folder",
            )
        if answer.status != HTTPStatus.OK or len(data) > _MAX_BYTES:
            raise Unavailable("the log does not give its tiles", got=f"{answer.status} for {path}")
        return data
