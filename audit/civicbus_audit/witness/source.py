"""A log's tiles and bundles over HTTP, as a mirror fetches them (`civicbus-audit serve`)."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from threading import Lock
from urllib.parse import urlsplit

from civicbus_schemas.errors import Refused, Unavailable

_TIMEOUT_S = 10.0
_MAX_BYTES = 256 * (2 + 65_535)  # a full bundle of the longest leaves


class HttpTiles:
    """Reads paths below one address; one request at a time."""

    def __init__(self, source: str, *, token: str) -> None:
        url = urlsplit(source)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if url.scheme not in kinds or not url.hostname or url.query or url.fragment:
            raise Refused(
                "not an address", got=ascii(source), expected="http(s)://<host>[:<port>][/<prefix>]"
            )
        self._kind, self._host, self._port = kinds[url.scheme], url.hostname, url.port
        self._prefix = url.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._lock = Lock()

    def read(self, path: str) -> bytes:
        """The bytes at a path; raises `FileNotFoundError`, or `Unavailable`."""
        with self._lock:
            connection = self._kind(self._host, self._port, timeout=_TIMEOUT_S)
            try:
                connection.request("GET", f"{self._prefix}/{path}", headers=self._headers)
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
        if answer.status != HTTPStatus.OK or len(data) > _MAX_BYTES:
            raise Unavailable("the log does not give its tiles", got=f"{answer.status} for {path}")
        return data
