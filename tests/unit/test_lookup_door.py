"""What every answer of a web process has, whichever room gave it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.door import compose
from civicbus_consumers.lookup.problems import Problem
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _answer(request: Request) -> Response:
    match request.query_params.get("code"):
        case None:
            return Response()
        case "broken":
            raise RuntimeError
        case code:
            raise Problem(Code(code))


APP = compose(Route("/room", _answer))


def ask(path: str, *, method: str = "GET", id_: str | None = "q-1") -> httpx.Response:
    async def steps() -> httpx.Response:
        transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://bus") as client:
            headers = {} if id_ is None else {"X-Request-ID": id_}
            return await client.request(method, path, headers=headers)

    return asyncio.run(steps())


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/room", "GET", 200),
        ("/room?code=malformed-request", "GET", 400),
        ("/room?code=token-malformed", "GET", 401),
        ("/room?code=not-yourself", "GET", 403),
        ("/nowhere", "GET", 404),
        ("/room", "POST", 405),
        ("/room?code=broken", "GET", 503),
    ],
)
def test_request_id_comes_back_when_the_answer_is_an_error_too(
    path: str, method: str, status: int
) -> None:
    answer = ask(path, method=method)
    assert (answer.status_code, answer.headers.get_list("x-request-id")) == (status, ["q-1"])


@pytest.mark.parametrize("id_", [None, "", "x" * 129, "two words", "\t"])
def test_no_request_id_comes_back_when_none_was_sent_that_can_stand_in_a_header(
    id_: str | None,
) -> None:
    assert "x-request-id" not in ask("/room", id_=id_).headers
