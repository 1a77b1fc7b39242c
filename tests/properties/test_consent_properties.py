"""Laws of the fold: whatever comes again, late or out of order, no withdrawn consent revives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from civicbus_consumers.consent.rules import (
    Change,
    Changed,
    Given,
    Withdrawn,
    fold,
    fold_encoded,
)
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents, Uses
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentStatus, UsePeriod
from hypothesis import given
from hypothesis import strategies as st

_START = datetime(2026, 1, 1, tzinfo=UTC)
_IDS = st.sampled_from([f"0190b6f0-0000-7000-8000-{n:012d}" for n in range(4)])
_AGENCIES = st.sampled_from([AgencyId("bank"), AgencyId("vss")])
_TIMES = st.integers(0, 10_000).map(lambda minutes: _START + timedelta(minutes=minutes))
_FIELDS = st.frozensets(
    st.sampled_from([f"population.Person:{name}" for name in ("sex", "address", "full_name")]),
    min_size=1,
)
_PURPOSE = st.just("credit.check-borrower")
_GIVEN = st.builds(
    Given,
    id=_IDS,
    recipient=_AGENCIES,
    purpose=_PURPOSE,
    fields=_FIELDS,
    at=_TIMES,
    valid_until=st.none() | _TIMES,
    uses=st.none() | st.builds(Uses, count=st.integers(1, 9), per=st.sampled_from(UsePeriod)),
    erase_at=st.none() | _TIMES,
)
_CHANGED = st.builds(
    Changed,
    id=_IDS,
    recipient=_AGENCIES,
    purpose=_PURPOSE,
    version=st.integers(2, 5),
    status=st.sampled_from([ConsentStatus.GIVEN, ConsentStatus.PAUSED]),
    at=_TIMES,
    valid_until=st.none() | _TIMES,
)
_WITHDRAWN = st.builds(Withdrawn, id=_IDS, recipient=_AGENCIES, purpose=_PURPOSE, at=_TIMES)
_CHANGES = st.lists(_GIVEN | _CHANGED | _WITHDRAWN, max_size=12)


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """What a registry tells of some consents: an id names one, and a version is one change."""
    told: list[Change] = []
    for id_ in draw(st.sets(_IDS, min_size=1)):
        given = replace(draw(_GIVEN), id=id_)
        about = {"id": id_, "recipient": given.recipient}
        last = draw(st.integers(1, 5))
        told.append(given)
        told += [replace(draw(_CHANGED), **about, version=v) for v in range(2, last + 1)]
        if draw(st.booleans()):
            told.append(replace(draw(_WITHDRAWN), **about))
    return told


def _fold_all(changes: list[Change], state: SubjectConsents = NO_CONSENTS) -> SubjectConsents:
    return reduce(fold, changes, state)


def _by_id(state: SubjectConsents) -> dict[str, Consent]:
    return {consent.id: consent for consent in state.consents}


@given(histories(), st.data())
def test_state_is_the_same_when_a_history_comes_in_any_order_and_again(
    told: list[Change], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(told)))
    shuffled = data.draw(st.permutations(told + again))
    assert _by_id(_fold_all(list(shuffled))) == _by_id(_fold_all(told))


@given(histories())
def test_a_consent_stands_as_it_was_last_changed_when_its_history_is_folded(
    told: list[Change],
) -> None:
    for id_, consent in _by_id(_fold_all(told)).items():
        mine = [change for change in told if change.id == id_]
        last = mine[-1]
        assert consent.version == len(mine)
        assert consent.since == last.at
        if isinstance(last, Changed):
            assert (consent.status, consent.valid_until) == (last.status, last.valid_until)


@given(_CHANGES)
def test_a_consent_is_withdrawn_exactly_when_a_withdrawal_of_its_id_was_seen(
    changes: list[Change],
) -> None:
    ended = {change.id for change in changes if isinstance(change, Withdrawn)}
    for consent in _fold_all(changes).consents:
        assert (consent.status is ConsentStatus.WITHDRAWN) == (consent.id in ended)


@given(_CHANGES, st.data())
def test_state_is_the_same_when_any_earlier_run_is_delivered_again(
    changes: list[Change], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(changes)))
    end = data.draw(st.integers(start, len(changes)))
    state = _fold_all(changes)
    assert _fold_all(changes[start:end], state) is state


@given(_CHANGES, _CHANGES)
def test_versions_only_grow_and_terms_are_settled_once_when_more_is_folded(
    changes: list[Change], more: list[Change]
) -> None:
    before, after = _fold_all(changes), _fold_all(more, _fold_all(changes))
    for old, new in zip(before.consents, after.consents, strict=False):
        assert old.id == new.id
        if old.fields:
            assert (old.recipient, old.fields) == (new.recipient, new.fields)
            assert (old.uses, old.erase_at) == (new.uses, new.erase_at)
        assert old.version <= new.version
        if old.status is ConsentStatus.WITHDRAWN:
            assert new.status is ConsentStatus.WITHDRAWN
        elif old.version == new.version:
            assert (old.status, old.valid_until) == (new.status, new.valid_until)


@given(_CHANGES)
def test_nothing_is_covered_when_no_consent_was_given(changes: list[Change]) -> None:
    given_ids = {change.id for change in changes if isinstance(change, Given)}
    for consent in _fold_all(changes).consents:
        if consent.id not in given_ids:
            assert consent.lapse(frozenset(), _START) is not None


@given(_CHANGES)
def test_encoded_fold_equals_the_fold_of_values(changes: list[Change]) -> None:
    body: bytes | None = None
    for change in changes:
        body = fold_encoded(body, change) or body
    state = NO_CONSENTS if body is None else SubjectConsents.decode(body)
    assert state == _fold_all(changes)
