"""What a bundle says became of its disclosures: as the pages of the whole log tell it."""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_audit.evidence.releases import Releases
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import Page
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome

from tests.fakes.pages import FakeRecorder, decision

A, B = RecorderId("a" * 32), RecorderId("b" * 32)


def words(pages: Sequence[Page]) -> list[str]:
    """The words of all records of these pages, in order."""
    releases, count = Releases(), 0
    for page in pages:
        releases.see(page.header)
        for leaf in page.records:
            releases.take(discloses=Record.decode(leaf).decision.discloses)
            count += 1
    rows = [row.decode().strip() for row in releases.rows(range(count))]
    assert rows[0] == "index,release"
    assert [row.partition(",")[0] for row in rows[1:]] == [str(at) for at in range(count)]
    return [row.partition(",")[2] for row in rows[1:]]


def test_a_disclosure_is_released_once_a_later_page_says_so() -> None:
    recorder = FakeRecorder(A)
    first = recorder.write(decision(), decision(outcome=Outcome.DENY))
    recorder.release(first)
    second = recorder.write(decision())
    assert words([first]) == ["unsettled", "none"]
    assert words([first, second]) == ["released", "none", "unsettled"]


def test_a_disclosure_is_aborted_when_a_successor_closes_before_it() -> None:
    recorder = FakeRecorder(A)
    first = recorder.write(decision())
    recorder.release(first)
    second = recorder.write(decision())
    successor = recorder.successor(B).write(decision())
    told = words([first, second, successor])
    assert told == ["released", "aborted-may-have-been-seen", "unsettled"]


def test_nothing_is_told_of_a_record_that_stands_before_every_page() -> None:
    releases = Releases()
    releases.see(b"unknown")
    releases.take(discloses=True)
    assert [*releases.rows([0])][1] == b"0,unsettled\r\n"
