"""Where the pages that a pruned ledger keeps begin on the page topic."""

from __future__ import annotations

from civicbus_audit.completeness.commit import IndexCommit
from civicbus_audit.notice import NOTICE
from civicbus_audit.stored import StoredLog
from civicbus_schemas.page import HEADER_LEAF

from civicbus_consumers.scrubbing.rules import Span, page_of
from civicbus_consumers.scrubbing.topic import Pages


def first_kept(pages: Pages, log: StoredLog, *, end: int) -> Span | None:
    """From the first page behind the commit that the log begins with; None if it is not there.

    That commit says when the period of that page began, by the topic's own clock, so few messages
    are looked at.
    """
    since = IndexCommit.decode(log.leaf(log.first)).at
    leaves = log.leaves(log.first + 1)
    found = next(((index, leaf) for index, leaf in leaves if HEADER_LEAF.wrote(leaf)), None)
    if found is None:
        return None
    index, header = found
    for message in pages.read(pages.first_since(since), end):
        page = page_of(message.value)
        if page is not None and page.header == header:
            start = index - 1 if NOTICE.wrote(log.leaf(index - 1)) else index
            return Span(begin=message.offset, end=end, leaf=start)
    return None
