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

_SUPERVISES = (Act.ASSIGN, Act.LIST)


def judge(
    asker: Asker, demand: Demand, *, case: Case | None, linked: Linked | None
) -> Reason | None:
    """Why this asker may not do this; None where he may.

    1. the role does such things, 2. the case is his agency's, there and open (to open it, not yet
    there), 3. a record that is linked exists, and is one that the role may be shown. `linked` is
    the leaf of the record that is named, as far as there is one.
    """
    if not isinstance(asker, Official):  # 1
        return Reason.NOT_YOUR_ROLE
    if asker.role is Role.SUPERVISOR and demand.act not in _SUPERVISES:
        return Reason.NOT_YOUR_ROLE
    if demand.act is Act.LIST:
        return None
    if demand.act is Act.OPEN:  # 2
        return None if case is None else Reason.CASE_EXISTS
    if case is None or case.agency != asker.agency:
        return Reason.CASE_NOT_FOUND
    if not case.is_open:
        return Reason.CASE_CLOSED
    return _link(asker, linked) if demand.act is Act.LINK else None  # 3


def _link(asker: Official, linked: Linked | None) -> Reason | None:
    if linked is None or linked.kind in QUERY_KINDS:
        return Reason.RECORD_NOT_FOUND
    if asker.role is Role.AUDITOR and linked.recipient != asker.agency:
        return Reason.RECORD_NOT_FOUND
    return None
