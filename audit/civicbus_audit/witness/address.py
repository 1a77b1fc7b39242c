"""An HTTP address of a witness or a log: where to connect, and what its paths begin with."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from civicbus_schemas.errors import Refused

_KINDS = {"http": HTTPConnection, "https": HTTPSConnection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`http(s)://<host>[:<port>][/<prefix>]`, taken apart."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    @classmethod
    def parse(cls, text: str | None, *, what: str) -> Address:
        """The address in a text; raises `Refused`, naming what it is the address of."""
        try:
            url = urlsplit(text or "")
            host, port = url.hostname, url.port
        except ValueError:
            host = None
        if not host or url.scheme not in _KINDS or url.query or url.fragment or url.username:
            raise Refused(
                f"{what} has no address",
                got=ascii(text),
                expected="http(s)://<host>[:<port>][/<prefix>]",
            )
        return cls(scheme=url.scheme, host=host, port=port, prefix=url.path.rstrip("/"))

    def connection(self, *, timeout_s: float) -> HTTPConnection:
        """A connection that is opened by its first request."""
        kind: type[HTTPConnection] = _KINDS[self.scheme]
        return kind(self.host, self.port, timeout=timeout_s)
