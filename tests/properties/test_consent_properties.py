"""Laws of the fold: whatever comes again, late or out of order, no withdrawn consent revives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

from civicbus_consumers.consent.rules import Change, Given, Withdrawn, fold, fold_encoded
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentStatus
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
_GIVEN = st.builds(
    Given,
    id=_IDS,
    recipient=_AGENCIES,
    purpose=st.just("credit.check-borrower"),
    fields=_FIELDS,
    at=_TIMES,
    valid_until=st.none() | _TIMES,
)
_WITHDRAWN = st.builds(
    Withdrawn, id=_IDS, recipient=_AGENCIES, purpose=st.just("credit.check-borrower"), at=_TIMES
)
_CHANGES = st.lists(_GIVEN | _WITHDRAWN, max_size=12)


def _fold_all(changes: list[Change], state: SubjectConsents = NO_CONSENTS) -> SubjectConsents:
    return reduce(fold, changes, state)


@given(_CHANGES)
def test_consent_is_given_exactly_when_no_withdrawal_of_its_id_was_seen(
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
def test_versions_only_grow_and_statuses_only_end_when_more_is_folded(
    changes: list[Change], more: list[Change]
) -> None:
    before, after = _fold_all(changes), _fold_all(more, _fold_all(changes))
    for old, new in zip(before.consents, after.consents, strict=False):
        assert old.id == new.id
        assert old.fields == new.fields
        if old != new:
            assert (old.status, new.status) == (ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN)
            assert new.version == old.version + 1


@given(st.permutations(range(6)), st.lists(_GIVEN | _WITHDRAWN, min_size=6, max_size=6))
def test_who_may_receive_is_never_more_when_events_come_in_another_order(
    order: list[int], changes: list[Change]
) -> None:
    def withdrawn(state: SubjectConsents) -> set[str]:
        return {c.id for c in state.consents if c.status is ConsentStatus.WITHDRAWN}

    shuffled = [changes[index] for index in order]
    assert withdrawn(_fold_all(changes)) == withdrawn(_fold_all(shuffled))


@given(_CHANGES)
def test_encoded_fold_equals_the_fold_of_values(changes: list[Change]) -> None:
    body: bytes | None = None
    for change in changes:
        body = fold_encoded(body, change) or body
    state = NO_CONSENTS if body is None else SubjectConsents.decode(body)
    assert state == _fold_all(changes)
