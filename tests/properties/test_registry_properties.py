"""Registry and bus agree: whatever is asked, and however its events arrive, both know one state."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

from civicbus_consumers.consent.registry.acts import Accepted, Demand, Held, Standing, Terms
from civicbus_consumers.consent.registry.events import Teller, is_told
from civicbus_consumers.consent.rules import Change, fold, read_change
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents, Uses
from civicbus_schemas.vocabulary import ConsentAct, ConsentStatus, UsePeriod
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import lookup_samples as samples
from tests.unit.registry_samples import AT, BANK, LAN, TERMS, VNEID, World, altering, asking, giving

_LATER = st.none() | st.integers(1, 400).map(lambda days: AT + timedelta(days=days))
_TERMS = st.builds(
    Terms,
    recipient=st.just(BANK),
    purpose=st.just(samples.CREDIT),
    fields=st.just(TERMS.fields),
    valid_until=_LATER,
    uses=st.none() | st.builds(Uses, count=st.integers(1, 9), per=st.sampled_from(UsePeriod)),
    erase_at=_LATER,
)
_CHANGING = [ConsentAct.PAUSE, ConsentAct.RESUME, ConsentAct.RENEW]
_DEMANDS = st.one_of(
    _TERMS.map(lambda terms: asking(terms=terms)),
    _TERMS.map(lambda terms: giving(terms=terms)),
    st.builds(
        lambda act, version, until: altering(act, version, valid_until=until),
        st.sampled_from(_CHANGING),
        st.integers(0, 6),
        _LATER,
    ),
    st.sampled_from([ConsentAct.REFUSE, ConsentAct.WITHDRAW]).map(altering),
)
_STATUS = {
    Standing.GIVEN: ConsentStatus.GIVEN,
    Standing.PAUSED: ConsentStatus.PAUSED,
    Standing.WITHDRAWN: ConsentStatus.WITHDRAWN,
}
_TELLER = Teller()


def act_out(demands: list[Demand]) -> list[Held]:
    """How the consent stood after each act that was accepted; an hour lies between acts."""
    world, stood = World(), list[Held]()
    for demand in demands:
        world.asker = BANK if demand.act is ConsentAct.REQUEST else VNEID
        world.at += timedelta(hours=1)
        verdict = world.judge(demand)
        if isinstance(verdict, Accepted):
            world.held = verdict.after
            stood.append(verdict.after)
    return stood


def told(stood: list[Held]) -> list[Change]:
    """What the bus is told of it, as its fold reads it."""
    contracts = samples.policy().contracts
    events = [_TELLER.event(h, LAN, contracts=contracts) for h in stood if is_told(h.act)]
    return [
        read_change(e.event_type, e.contract.avro.decode(e.contract.avro.encode(e.to_datum())))
        for e in events
    ]


@given(st.lists(_DEMANDS, max_size=14), st.data())
def test_bus_knows_the_consent_as_the_registry_does_when_events_come_in_any_order(
    demands: list[Demand], data: st.DataObject
) -> None:
    stood = act_out(demands)
    changes = told(stood)
    again = data.draw(st.lists(st.sampled_from(changes))) if changes else []
    state = reduce(fold, data.draw(st.permutations(changes + again)), NO_CONSENTS)
    if not changes:
        assert state == SubjectConsents()
        return
    (consent,), held = state.consents, stood[-1]
    assert (consent.version, consent.status) == (held.version, _STATUS[held.standing])
    assert (consent.fields, consent.uses) == (held.terms.fields, held.terms.uses)
    assert consent.erase_at == held.terms.erase_at
    if held.standing is not Standing.WITHDRAWN:
        assert consent.valid_until == held.terms.valid_until


@given(st.lists(_DEMANDS, max_size=14), st.lists(_DEMANDS, max_size=6))
def test_nothing_follows_a_withdrawal_whatever_is_asked(
    before: list[Demand], after: list[Demand]
) -> None:
    stood = act_out([*before, giving(), altering(ConsentAct.WITHDRAW), *after])
    ends = [held.standing is Standing.WITHDRAWN for held in stood]
    assert not any(ends) or ends.index(True) == len(ends) - 1


@given(st.lists(_DEMANDS, max_size=10), st.integers(0, 9))
def test_an_act_changes_nothing_when_it_is_asked_twice_at_once(
    demands: list[Demand], index: int
) -> None:
    doubled = demands[: index + 1] + demands[index : index + 1] + demands[index + 1 :]
    once, twice = act_out(demands), act_out(doubled)
    assert [h.standing for h in once] == [h.standing for h in twice]
    assert [h.version for h in once] == [h.version for h in twice]
