"""Who may do what to a saved query. Pure.

| Role | May |
|---|---|
| officer, agency's auditor | save, list, run and drop his own |
| supervisor | the same, and list and run those of his agency |
| citizen | nothing |
"""

from __future__ import annotations

from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.officers.rules import Asker, Official, Role
from civicbus_consumers.officers.saved.acts import Act, Demand, Kept

MAX_SAVED = 100
"""How many queries an official may keep."""


def judge(
    asker: Asker, demand: Demand, *, by: str | None, kept: Kept | None, count: int
) -> Reason | None:
    """Why this asker may not do this; None where he may.

    1. an official does such things, 2. the query that is named is there, and his to use, 3. he
    keeps no more than he may. `by` is his pseudonym, `count` how many he keeps. Whether a query is
    not there or somebody else's is not told.
    """
    if not isinstance(asker, Official):  # 1
        return Reason.NOT_YOUR_ROLE
    if demand.saved is not None:  # 2
        found = kept is not None and _is_for(asker, demand.act, by=by, kept=kept)
        return None if found else Reason.SAVED_NOT_FOUND
    if demand.act is Act.SAVE and count >= MAX_SAVED:  # 3
        return Reason.LIMIT_EXCEEDED
    return None


def sees_all(asker: Asker) -> bool:
    """Whether what others of his agency saved is his to list and to run."""
    return asker.role is Role.SUPERVISOR


def _is_for(asker: Official, act: Act, *, by: str | None, kept: Kept) -> bool:
    if kept.owner == by:
        return True
    return act is Act.RUN and sees_all(asker) and kept.agency == asker.agency
