"""Who may do what to a case. Pure.

| Role | May |
|---|---|
| officer, agency's auditor | everything, to cases of his own agency |
| supervisor | see and assign them, and no more: whoever reviews does not investigate |
| citizen | nothing |
"""

from __future__ import annotations

from civicbus_schemas.vocabulary import QUERY_KINDS, Reason

from civicbus_consumers.officers.casework.acts import Act, Case, Demand, Linked
from civicbus_consumers.officers.rules import Asker, Official, Role

MAX_ACTS = 100
"""How many acts a case may hold, its closing not counted: it can always be closed."""
MAX_OPEN = 200
"""How many cases an agency may have open: as many as its list shows."""

_SUPERVISES = (Act.ASSIGN, Act.LIST)


def judge(
    asker: Asker, demand: Demand, *, case: Case | None, linked: Linked | None, count: int
) -> Reason | None:
    """Why this asker may not do this; None where he may.

    1. the role does such things, 2. the case is his agency's, there and open (to open it, not yet
    there), 3. it takes no more than a case, or an agency, may hold, 4. a record that is linked
    exists, and is one that the role may be shown. `linked` is the leaf of the record that is named,
    as far as there is one; `count` the case's acts or, to open one, the agency's open cases.
    """
    if not isinstance(asker, Official):  # 1
        return Reason.NOT_YOUR_ROLE
    if asker.role is Role.SUPERVISOR and demand.act not in _SUPERVISES:
        return Reason.NOT_YOUR_ROLE
    if demand.act is Act.LIST:
        return None
    if demand.act is Act.OPEN:  # 2
        if case is not None:
            return Reason.CASE_EXISTS
        return Reason.LIMIT_EXCEEDED if count >= MAX_OPEN else None  # 3
    if case is None or case.agency != asker.agency:
        return Reason.CASE_NOT_FOUND
    if not case.is_open:
        return Reason.CASE_CLOSED
    if demand.act is not Act.CLOSE and count >= MAX_ACTS:
        return Reason.LIMIT_EXCEEDED
    return _link(asker, linked) if demand.act is Act.LINK else None  # 4


def _link(asker: Official, linked: Linked | None) -> Reason | None:
    if linked is None or linked.kind in QUERY_KINDS:
        return Reason.RECORD_NOT_FOUND
    if asker.role is Role.AUDITOR and linked.recipient != asker.agency:
        return Reason.RECORD_NOT_FOUND
    return None
