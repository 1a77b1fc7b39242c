"""Whether anything else matched: the proof that a bundle holds of it, or why it holds none.

A proof shows every leaf that is filed under a name in a period. So it goes into a bundle only where
the query shows all of them too: one person, officer or recipient, a period, and no other filter.
Whoever may not be shown what a filter leaves out, such as an investigation, is not shown it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from civicbus_schemas.vocabulary import DECISION_KINDS

from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.proving import prove_complete
from civicbus_audit.completeness.verifying import verify_complete
from civicbus_audit.query import Query
from civicbus_audit.quorum import Trust
from civicbus_audit.stored import Progress, StoredLog

FILE = "completeness.json"
MAX_PROVED = 20_000
"""Records in a bundle with a proof: it is made in memory, some kilobytes a record."""
_NAMED = (By.SUBJECT, By.OFFICER, By.RECIPIENT)


class Unproved(StrEnum):
    """Why a bundle's completeness rests on the exporter's re-scan alone."""

    QUERY = "query"
    TOO_MANY = "too-many"
    NO_COMMITS = "no-commits"


_WORDS = {
    Unproved.QUERY: (
        "Re-scan alone: index commits answer for one person, officer or recipient in a period,"
        " without other filters; a proof would show what other filters leave out.",
        "Chỉ quét lại: các cam kết chỉ mục trả lời cho một người, một cán bộ hoặc một cơ quan nhận"
        " trong một khoảng thời gian, không có bộ lọc khác; bằng chứng sẽ để lộ điều bộ lọc khác"
        " đã loại ra.",
    ),
    Unproved.TOO_MANY: (
        f"Re-scan alone: a bundle of more than {MAX_PROVED} records holds no proof.",
        f"Chỉ quét lại: gói có hơn {MAX_PROVED} bản ghi không kèm bằng chứng.",
    ),
    Unproved.NO_COMMITS: (
        "Re-scan alone: the ledger has no index commit yet.",
        "Chỉ quét lại: sổ cái chưa có cam kết chỉ mục nào.",
    ),
}
_PROVED = (
    "Index commits prove it up to leaf {covered}, the re-scan says it from there on. Records of"
    " other kinds than the commits file under this name rest on the re-scan.",
    "Các cam kết chỉ mục chứng minh đến lá {covered}; từ đó trở đi là kết quả quét lại. Bản ghi"
    " thuộc loại mà cam kết không xếp dưới tên này dựa vào việc quét lại.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What the proof in a bundle proves.

    `covered`: the leaf up to which commits prove it. `proved` and `rescanned`: the leaves filed
    under the name before and behind that one. `unread`: those of them that are in the proof alone,
    as nobody can read them to their end. `other_kinds`: records of the bundle that the proof is not
    about, such as those of consent. `nameless`: leaves before `covered` that nobody can read even
    to their names.
    """

    covered: int
    commits: int
    proved: int
    rescanned: int
    unread: int
    other_kinds: int
    nameless: int


Completeness = Proved | Unproved


def asked_by(query: Query) -> Asked | None:
    """What a proof for this query is about; None where none can show just what the query shows."""
    named = {by.value: text for by in _NAMED if (text := getattr(query, by)) is not None}
    bare = Query(since=query.since, until=query.until, **named)
    if By.OFFICER not in named and not {*query.except_kinds} & {*DECISION_KINDS}:
        bare = replace(bare, except_kinds=query.except_kinds)  # no kind that a proof would show
    if len(named) != 1 or query != bare:
        return None
    [(by, text)] = named.items()
    return Asked(by=By(by), texts=(text,), since=query.since, until=query.until)


def write_proof(
    folder: Path,
    asked: Asked | None,
    *,
    log: StoredLog,
    note: bytes,
    trust: Trust,
    records: Sequence[int],
    tell: Progress | None,
) -> Completeness:
    """Writes the proof where there can be one, read again from the ledger; what it proves.

    `records`: the leaves of the bundle. Raises `EvidenceBroken` if a commit is not the one that
    the ledger's leaves make.
    """
    if asked is None:
        return Unproved.QUERY
    if len(records) > MAX_PROVED:
        return Unproved.TOO_MANY
    data = prove_complete(log, note, asked, on_progress=tell).encode()
    complete = verify_complete(data, trust)
    if not complete.commits:
        return Unproved.NO_COMMITS
    (folder / FILE).write_bytes(data)
    shown, filed = {*records}, {at for at, _ in (*complete.proved, *complete.rescanned)}
    return Proved(
        covered=complete.covered,
        commits=complete.commits,
        proved=len(complete.proved),
        rescanned=len(complete.rescanned),
        unread=len(filed - shown),
        other_kinds=len(shown - filed),
        nameless=complete.unreadable,
    )


def document(completeness: Completeness) -> dict[str, Any]:
    """What the manifest says of it, in figures and in words."""
    match completeness:
        case Proved():
            figures = {name: getattr(completeness, name) for name in Proved.__slots__}
            english, vietnamese = (words.format(**figures) for words in _PROVED)
            return {"kind": "index-commits", **figures, "en": english, "vi": vietnamese}
        case Unproved():
            english, vietnamese = _WORDS[completeness]
            return {
                "kind": "re-scan",
                "reason": completeness.value,
                "en": english,
                "vi": vietnamese,
            }
