"""Questions and answers as the OpenID AuthZEN Authorization API 1.0 writes them. Pure.

    {"subject": {"type": "agency", "id": "bank"},
     "action": {"name": "verify"},
     "resource": {"type": "dataset", "id": "population.Person",
                  "properties": {"fields": ["marital_status"]}},
     "context": {"purpose": "credit.verify-customer",
                 "day": "2026-11-22", "consent": true, "age": 36}}

Of the context only the purpose is needed. A batch has `evaluations`, each of which may leave out
what stands beside them as a default, and `options.evaluations_semantic` (sections 6 and 7). What is
not known here is refused: a circumstance that is passed over could have changed the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import agency_id, dotted_id, event_type

from civicbus_consumers.explain.rules import Action, Question
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.request import MAX_FIELDS, PATH, json_object

MAX_EVALUATIONS = 100
MAX_AGE = 150
MIN_YEAR, MAX_YEAR = 1990, 2200

T = TypeVar("T")

_PARTS = ("subject", "action", "resource", "context")


class Semantic(StrEnum):
    """How far a batch goes on (AuthZEN, section 7.1.2.1)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def ends_with(self, *, permitted: bool) -> bool:
        """Whether a batch ends with such an answer."""
        match self:
            case Semantic.EXECUTE_ALL:
                return False
            case Semantic.DENY_ON_FIRST_DENY:
                return not permitted
            case Semantic.PERMIT_ON_FIRST_PERMIT:
                return permitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The questions of a batch, each still to be read, so that one that is malformed is denied.

    Without any item it is the one question that its defaults make (section 7.1).
    """

    items: tuple[Any, ...]
    defaults: Mapping[str, Any]
    semantic: Semantic

    def question(self, item: Any, *, today: date) -> Question:
        """The question in one item, with the defaults where it says nothing; raises `Problem`."""
        return read_question({**self.defaults, **_object(item, "evaluations")}, today=today)


def parse_question(body: bytes, *, today: date) -> Question:
    """The question in a body; raises `Problem`."""
    return read_question(json_object(body), today=today)


def parse_batch(body: bytes) -> Batch:
    """The batch in a body; raises `Problem`."""
    document = json_object(body)
    _known(document, {*_PARTS, "evaluations", "options"}, "body")
    items = document.get("evaluations", [])
    if not isinstance(items, list) or len(items) > MAX_EVALUATIONS:
        _refuse("evaluations", f"a list of at most {MAX_EVALUATIONS}")
    options = _object(document.get("options", {}), "options")
    _known(options, {"evaluations_semantic"}, "options")
    semantic = options.get("evaluations_semantic", Semantic.EXECUTE_ALL.value)
    if semantic not in list(Semantic):
        _refuse("evaluations_semantic", f"one of {', '.join(Semantic)}")
    return Batch(
        items=tuple(items),
        defaults={part: document[part] for part in _PARTS if part in document},
        semantic=Semantic(semantic),
    )


def read_question(document: Mapping[str, Any], *, today: date) -> Question:
    """The question in an AuthZEN request; raises `Problem`, which names the member."""
    _known(document, set(_PARTS), "body")
    subject = _part(document, "subject", {"type", "id"})
    action = _part(document, "action", {"name"})
    resource = _part(document, "resource", {"type", "id", "properties"})
    context = _part(document, "context", {"purpose", "day", "consent", "age", "break_glass"})
    if subject.get("type") != "agency":
        _refuse("subject.type", "agency")
    if resource.get("type") != "dataset":
        _refuse("resource.type", "dataset")
    if action.get("name") not in list(Action):
        _refuse("action.name", f"one of {', '.join(Action)}")
    name = Action(action["name"])
    properties = _object(resource.get("properties", {}), "resource.properties")
    _known(properties, {"fields"}, "resource.properties")
    return Question(
        recipient=_id(subject.get("id"), "subject.id", agency_id),
        action=name,
        dataset=_id(resource.get("id"), "resource.id", event_type),
        fields=_fields(properties.get("fields", []), name),
        purpose=_id(context.get("purpose"), "context.purpose", _purpose),
        day=_day(context["day"]) if "day" in context else today,
        consent=_flag(context.get("consent", False), "context.consent"),
        breaks_glass=_flag(context.get("break_glass", False), "context.break_glass"),
        age=_age(context["age"]) if "age" in context else None,
    )


def _refuse(member: str, rule: str) -> NoReturn:
    raise Problem(Code.MALFORMED_REQUEST, member=member, rule=rule) from None


def _object(value: Any, member: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _refuse(member, "an object")
    return value


def _part(document: Mapping[str, Any], name: str, known: set[str]) -> Mapping[str, Any]:
    if name not in document:
        _refuse(name, "is needed")
    part = _object(document[name], name)
    _known(part, known, name)
    return part


def _known(part: Mapping[str, Any], known: set[str], member: str) -> None:
    if part.keys() - known:
        _refuse(member, f"no members but {', '.join(sorted(known))}")


def _id(value: Any, member: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(value if isinstance(value, str) else "")
    except InvalidIdentifier:
        _refuse(member, "an id of the nation's files")


def _purpose(text: str) -> str:
    return dotted_id(text, what="purpose")


def _fields(value: Any, action: Action) -> tuple[str, ...]:
    """Paths; a stream may be asked about without any, for it releases all of an agreement's."""
    member = "resource.properties.fields"
    least = 0 if action is Action.RELEASE else 1
    if not isinstance(value, list) or not least <= len(value) <= MAX_FIELDS:
        _refuse(member, f"a list of {least} to {MAX_FIELDS} paths")
    if not all(isinstance(path, str) and PATH.fullmatch(path) for path in value):
        _refuse(member, "paths of fields such as full_name")
    if len(set(value)) < len(value):
        _refuse(member, "no path twice")
    return tuple(value)


def _day(value: Any) -> date:
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        _refuse("context.day", "a day written YYYY-MM-DD")
    if day.isoformat() != value or not MIN_YEAR <= day.year <= MAX_YEAR:
        _refuse("context.day", f"a day written YYYY-MM-DD, {MIN_YEAR} to {MAX_YEAR}")
    return day


def _flag(value: Any, member: str) -> bool:
    if not isinstance(value, bool):
        _refuse(member, "true or false")
    return value


def _age(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_AGE:
        _refuse("context.age", f"full years, 0 to {MAX_AGE}")
    return value
