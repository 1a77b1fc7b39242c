"""The pages for people, rendered on the server and good without scripts.

    /        who read about this person, why, on what ground (a citizen: about himself)
    /verify  the proof of one row, checked here     /proof  the same as a file
    /complete  the proof that an answer about one person leaves nothing out, as a file

The token is posted with each form and never stands in an address; there is no cookie, so that no
other site's form can ask in somebody's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.flags.words import Flag
from civicbus_consumers.lookup.door import NO_STORE, read_body
from civicbus_consumers.lookup.problems import LANGUAGES, Problem, preferred_language
from civicbus_consumers.officers import form
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.phrases import say
from civicbus_consumers.officers.rows import row_of
from civicbus_consumers.officers.rules import QueryPurpose
from civicbus_consumers.officers.service import complete_response, proof_response
from civicbus_consumers.officers.words import WordBook

HEADERS = {
    **NO_STORE,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OFFICIAL_PURPOSES = [one for one in QueryPurpose if one is not QueryPurpose.OWN_DATA]

_templates = Environment(
    loader=PackageLoader("civicbus_consumers.officers"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageService:
    """The pages and what they stand on."""

    counter: Counter
    words: WordBook
    body_timeout_s: float

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [
            Route("/", self.blank, methods=["GET"]),
            Route("/", self.ask, methods=["POST"]),
            Route("/verify", self.verify, methods=["POST"]),
            Route("/proof", self.prove, methods=["POST"]),
            Route("/complete", self.prove_complete, methods=["POST"]),
            Route("/style.css", _style, methods=["GET"]),
        ]

    async def blank(self, request: Request) -> Response:
        """The form alone."""
        return self._page("ask.html", _language(request, request.query_params))

    async def ask(self, request: Request) -> Response:
        """The readings that a form asks for."""
        language = _language(request, {})
        try:
            posted = await self._posted(request)
            language = _language(request, posted)
            holder = self.counter.admit(form.authorization(posted))
            asked = form.asked_by(posted, holder.asker.role)
            trace = request.headers.get("traceparent")
            answer = await self.counter.ask(holder, asked, trace=trace)
        except Problem as problem:
            return self._problem(problem, language)
        rows = [
            row_of(entry, self.words, language, ticket=self.counter.ticket(holder, entry))
            for entry in answer.rows
        ]
        cursor = self.counter.cursor(holder, asked.question, answer)
        values: dict[str, Any] = {
            "answer": answer,
            "rows": rows,
            "cursor": cursor,
            "complete": self.counter.complete_ticket(holder, asked.question, answer),
            "posted": posted,
        }
        return self._page("answer.html", language, **values)

    async def verify(self, request: Request) -> Response:
        """Whether the proof of a row holds."""
        language = _language(request, {})
        try:
            posted = await self._posted(request)
            language = _language(request, posted)
            proved = await self.counter.check(*self._row(posted))
        except Problem as problem:
            return self._problem(problem, language)
        return self._page("verified.html", language, proved=proved, posted=posted)

    async def prove(self, request: Request) -> Response:
        """The proof of a row, as a file."""
        try:
            holder, record, ticket = self._row(await self._posted(request))
            proof = await self.counter.prove(holder, record, ticket)
        except Problem as problem:
            return self._problem(problem, _language(request, {}))
        response = proof_response(record, proof)
        response.headers.update(HEADERS)
        return response

    async def prove_complete(self, request: Request) -> Response:
        """The proof that an answer left nothing out, as a file."""
        try:
            posted = await self._posted(request)
            holder = self.counter.admit(form.authorization(posted))
            asked = form.asked_by(posted, holder.asker.role)
            proof = await self.counter.prove_complete(holder, asked)
        except Problem as problem:
            return self._problem(problem, _language(request, {}))
        response = complete_response(proof)
        response.headers.update(HEADERS)
        return response

    def _row(self, posted: Mapping[str, str]) -> tuple[Any, str, str]:
        holder = self.counter.admit(form.authorization(posted))
        return holder, posted.get("record", ""), posted.get("shown", "")

    async def _posted(self, request: Request) -> Mapping[str, str]:
        body = await read_body(
            request,
            limit_bytes=form.MAX_FORM_BYTES,
            timeout_s=self.body_timeout_s,
            media_type=form.FORM,
        )
        return form.parse_form(body)

    def _problem(self, problem: Problem, language: str) -> Response:
        title, detail = problem.told(language)
        told = {"title": title, "detail": detail, "code": problem.code, **problem.members}
        return self._page("ask.html", language, status=problem.texts[0], problem=told)

    def _page(self, name: str, language: str, *, status: int = 200, **values: Any) -> Response:
        def spoken(key: str, **given: object) -> str:
            return say(key, language, **given)

        text = _templates.get_template(name).render(
            say=spoken,
            language=language,
            other="en" if language == "vi" else "vi",
            asked=form.ASKED,
            flags=list(Flag),
            purposes=[(one.value, self.words.purpose(one, language)) for one in OFFICIAL_PURPOSES],
            **{"problem": None, **values},
        )
        headers = {**HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
        return Response(text, status, headers, "text/html; charset=utf-8")


async def _style(request: Request) -> Response:
    del request
    text = _templates.get_template("style.css").render()
    return Response(text, headers=HEADERS, media_type="text/css; charset=utf-8")


def _language(request: Request, told: Mapping[str, str]) -> str:
    """What was chosen on the page, else what the browser prefers."""
    chosen = told.get("lang", "")
    if chosen in LANGUAGES:
        return chosen
    return preferred_language(request.headers.get("accept-language", ""))
