"""What became of each disclosure in a bundle, as far as the ledger tells it. Pure.

Pages say of the ones before them which were released (`page`). So it is known when all leaves have
been read; it is the exporter's word, as the pages that say it are not in the bundle.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf

from civicbus_audit.evidence.records import csv_row
from civicbus_audit.release import Release

COLUMNS = ("index", "release")
NONE = "none"
"""Stands where nothing was disclosed: a refusal, a record that tells of something else."""
_NO_PAGE = -1


class Releases:
    """Sees every leaf of a log in order; some 12 bytes for each record of the bundle."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._released: dict[str, int] = {}
        self._closed: set[str] = set()
        self._page = (_NO_PAGE, 0)  # the number of its recorder, and its sequence
        self._recorders, self._pages = array("l"), array("q")

    def see_all(self, seen: Iterable[bytes | bool]) -> None:
        """Takes in what comes next: such a leaf, or whether a record of the bundle disclosed."""
        for told in seen:
            if isinstance(told, bool):
                self.take(discloses=told)
            else:
                self.see(told)

    def see(self, leaf: bytes) -> None:
        """Takes in a leaf that is no record: the header of a page, perhaps."""
        if not HEADER_LEAF.wrote(leaf):
            return
        try:
            header = HeaderLeaf.decode(leaf).header
        except InvalidBytes:
            return
        number = self._numbers.setdefault(header.recorder, len(self._numbers))
        self._page = number, header.sequence
        for ref in filter(None, (header.released, header.closes)):
            told = self._released.get(ref.recorder, _NO_PAGE)
            self._released[ref.recorder] = max(told, ref.sequence)
        if header.closes:
            self._closed.add(header.closes.recorder)

    def take(self, *, discloses: bool) -> None:
        """The next record of the bundle; it is of the page whose header was seen last."""
        recorder, page = self._page if discloses else (_NO_PAGE - 1, 0)
        self._recorders.append(recorder)
        self._pages.append(page)

    def rows(self, indices: Sequence[int]) -> Iterator[bytes]:
        """The lines of `releases.csv`, the first one its head."""
        names = [*self._numbers]
        yield csv_row(COLUMNS)
        for index, number, page in zip(indices, self._recorders, self._pages, strict=True):
            yield csv_row((index, self._word(names, number, page)))

    def _word(self, names: Sequence[str], number: int, page: int) -> str:
        if number < _NO_PAGE:
            return NONE
        if number == _NO_PAGE:
            return Release.UNSETTLED
        if page <= self._released.get(names[number], _NO_PAGE):
            return Release.RELEASED
        return Release.ABORTED if names[number] in self._closed else Release.UNSETTLED
