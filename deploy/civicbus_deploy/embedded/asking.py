"""Asks a server on loopback whether it answers, cheaply enough to ask ten times a second."""

from __future__ import annotations

import ssl

import httpx

# Nothing here speaks TLS. httpx would read the authorities' certificates at every call, 40 ms each;
# this context knows no authority, so that it would trust nobody.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def get(url: str, *, timeout_s: float = 2.0) -> httpx.Response | None:
    """The answer, whatever its status; None where nobody answers."""
    try:
        return httpx.get(url, timeout=timeout_s, verify=_NO_AUTHORITIES)
    except httpx.TransportError:
        return None


def succeeds(url: str | None) -> bool:
    """Whether a GET there succeeds now; where there is no address, none does."""
    answer = None if url is None else get(url)
    return answer is not None and answer.is_success
