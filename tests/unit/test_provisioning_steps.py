"""From what is to what should be: pure planning, least privilege, and the schema gate."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from civicbus_deploy.provisioning.compatibility import Incompatible, check_compatible
from civicbus_deploy.provisioning.desired import (
    BUS_PRINCIPALS,
    Desired,
    Grant,
    Operation,
    Resource,
    Subject,
    desired_state,
)
from civicbus_deploy.provisioning.nation import Nation, load_nation
from civicbus_deploy.provisioning.quotas import MIB
from civicbus_deploy.provisioning.steps import (
    Actual,
    Allow,
    Announce,
    ConfigureTopic,
    CreateTopic,
    DurabilityLowered,
    Limit,
    PartitionsDiffer,
    PositionLost,
    Register,
    Revoke,
    SetPassword,
    StartGroup,
    plan,
)
from civicbus_schemas import topics
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import EventType


@pytest.fixture(scope="module")
def nation() -> Nation:
    return load_nation()


@pytest.fixture(scope="module")
def desired(nation: Nation) -> Desired:
    return desired_state(nation.policy, brokers=1)


@pytest.fixture(scope="module")
def complete(desired: Desired) -> Actual:
    """A stack that holds everything already."""
    return Actual(
        topics={topic.name: topic for topic in desired.topics},
        passwords=frozenset(desired.principals),
        grants=desired.grants,
        quotas=frozenset(desired.quotas),
        started=frozenset(desired.starts),
        schemas={subject.name: (subject.document,) for subject in desired.subjects},
        policy=desired.policy,
    )


def test_nothing_is_planned_when_everything_is_there(desired: Desired, complete: Actual) -> None:
    assert plan(desired, complete) == ()


def test_positions_come_before_grants_and_the_policy_last_when_all_is_new(
    desired: Desired,
) -> None:
    kinds = list(dict.fromkeys(type(step) for step in plan(desired, Actual())))
    assert kinds == [CreateTopic, StartGroup, Register, SetPassword, Limit, Allow, Announce]


def test_every_partition_has_one_group_when_positions_are_planned(desired: Desired) -> None:
    sources = {s.name for s in desired.topics if s.name.startswith("src.")} - {
        s.name for s in desired.topics if s.name.endswith(".dlq")
    }
    for source in sources:
        reader = "consent-" if source.endswith(".consent.v1") else "enforce-"
        starts = [s for s in desired.starts if s.topic == source]
        assert {s.group.rstrip("01") for s in starts} == {reader}
        assert sorted(s.partition for s in starts) == list(range(12))
    assert all(
        int(s.group[-1]) == s.partition % topics.GROUPS
        for s in desired.starts
        if s.topic != topics.STATE_POLICY
    )


def test_topics_are_as_the_design_says_when_they_are_planned(desired: Desired) -> None:
    by_name = {topic.name: topic for topic in desired.topics}
    page, consent = by_name[topics.AUDIT_PAGE], by_name[topics.STATE_CONSENT]
    policy = by_name[topics.STATE_POLICY]
    assert (page.partitions, page.config["retention.ms"]) == (1, "-1")
    assert page.config["max.message.bytes"] == str(8 * 1024 * 1024)
    assert page.config["flush.messages"] == "1"
    assert (consent.partitions, consent.config["cleanup.policy"]) == (12, "compact")
    assert (policy.partitions, policy.config["cleanup.policy"]) == (1, "delete")
    assert by_name["dlv.npd.identity.v1"].config["retention.ms"] == "-1"
    assert int(by_name["dlv.bank.identity.v1"].config["retention.ms"]) > 0
    assert by_name["src.moj.civil-status.v1"].config["max.message.bytes"] == str(1024 * 1024)


def test_two_replicas_acknowledge_when_there_are_three_brokers(nation: Nation) -> None:
    desired = desired_state(nation.policy, brokers=3)
    assert all(topic.config["min.insync.replicas"] == "2" for topic in desired.topics)
    assert not any("flush.messages" in topic.config for topic in desired.topics)


def test_nothing_is_planned_when_one_of_three_brokers_is_down(nation: Nation) -> None:
    with pytest.raises(Refused, match="start the third"):
        desired_state(nation.policy, brokers=2)


def test_topics_are_left_as_they_are_when_fewer_brokers_answer_than_before(
    nation: Nation, desired: Desired
) -> None:
    before = desired_state(nation.policy, brokers=3)
    present = {topic.name: topic for topic in before.topics}
    with pytest.raises(DurabilityLowered, match="start the brokers that are down"):
        plan(desired, Actual(topics=present))


def test_an_agency_gets_its_own_topics_and_groups_only_when_grants_are_planned(
    desired: Desired, nation: Nation
) -> None:
    for agency in nation.policy.agencies:
        mine = [grant for grant in desired.grants if grant.principal == agency]
        for grant in mine:
            match grant.resource, grant.operation:
                case Resource.TOPIC, Operation.WRITE:
                    assert grant.name.startswith(f"src.{agency}.")
                case Resource.TOPIC, Operation.READ:
                    assert grant.name.startswith(f"dlv.{agency}.")
                case Resource.GROUP, Operation.READ:
                    assert (grant.name, grant.prefixed) == (f"{agency}.", True)
                case _:
                    pytest.fail(f"more than it needs: {grant}")


def test_pages_are_written_by_recorders_and_read_by_sealing_and_flags_when_grants_are_planned(
    desired: Desired,
) -> None:
    on_pages = {(g.principal, g.operation) for g in desired.grants if g.name == topics.AUDIT_PAGE}
    assert on_pages == {
        ("bus-enforce", Operation.WRITE),
        ("bus-lookup", Operation.WRITE),
        ("bus-officers", Operation.WRITE),
        ("bus-sealing", Operation.READ),
        ("bus-flags", Operation.READ),
        ("bus-flags", Operation.WRITE),
    }


def test_every_recorder_and_publisher_has_a_quota_when_it_may_write(
    desired: Desired, nation: Nation
) -> None:
    agencies = nation.policy.agencies.values()
    publishers = {str(agency.id): 4 for agency in agencies if agency.publishes}
    assert publishers.keys() < nation.policy.agencies.keys()
    assert {quota.principal: quota.bytes_s // MIB for quota in desired.quotas} == {
        "bus-enforce": 16,
        "bus-flags": 2,
        "bus-lookup": 2,
        "bus-officers": 2,
        **publishers,
    }


def test_a_quota_is_put_right_when_somebody_lifted_it(desired: Desired, complete: Actual) -> None:
    [quota] = [quota for quota in desired.quotas if quota.principal == "bus-enforce"]
    others = {*desired.quotas} - {quota}
    lifted = replace(quota, bytes_s=quota.bytes_s * 1000)
    [step] = plan(desired, replace(complete, quotas=frozenset([lifted, *others])))
    assert (step, str(step)) == (Limit(quota), "limit bus-enforce to 16 MiB/s")


def test_only_recipients_and_who_tells_citizens_may_read_deliveries_when_grants_are_planned(
    desired: Desired, nation: Nation
) -> None:
    on_deliveries = {
        grant.principal
        for grant in desired.grants
        if grant.name.startswith("dlv.") and grant.operation is Operation.READ
    }
    assert on_deliveries <= {*nation.policy.agencies, "bus-unread"}
    mine = {(g.resource, g.operation) for g in desired.grants if g.principal == "bus-unread"}
    assert mine == {(Resource.TOPIC, Operation.READ), (Resource.GROUP, Operation.DESCRIBE)}


def test_transactions_are_for_enforcement_and_consent_when_grants_are_planned(
    desired: Desired,
) -> None:
    ids = {(g.principal, g.name) for g in desired.grants if g.resource is Resource.TRANSACTIONAL_ID}
    assert ids == {("bus-enforce", "enforce-"), ("bus-consent", "consent-")}


def test_only_the_missing_is_planned_when_a_part_is_gone(
    desired: Desired, complete: Actual
) -> None:
    grant = min(desired.grants)
    subject = desired.subjects[0]
    broken = replace(
        complete,
        grants=complete.grants - {grant},
        passwords=complete.passwords - {"bank"},
        schemas={n: v for n, v in complete.schemas.items() if n != subject.name},
        policy=None,
    )
    assert plan(desired, broken) == (
        Register(subject), SetPassword("bank"), Allow(grant), Announce(desired.policy),
    )  # fmt: skip


def test_a_setting_is_put_right_when_somebody_changed_it(
    desired: Desired, complete: Actual
) -> None:
    page = complete.topics[topics.AUDIT_PAGE]
    shorter = replace(page, config={**page.config, "retention.ms": "1000", "segment.ms": "5"})
    broken = replace(complete, topics={**complete.topics, page.name: shorter})
    assert plan(desired, broken) == (ConfigureTopic(page.name, {"retention.ms": "-1"}),)


def a_grant(principal: str, name: str) -> Grant:
    return Grant(principal=principal, resource=Resource.TOPIC, name=name, operation=Operation.READ)


@pytest.mark.parametrize(
    "grant",
    [
        a_grant("bank", "src.moj.civil-status.v1"),
        a_grant("a-former-agency", "dlv.a-former-agency.health.v1"),
        a_grant("somebody", topics.AUDIT_PAGE),
        a_grant("bank", "somewhere-else"),
    ],
    ids=str,
)
def test_a_grant_is_revoked_when_nothing_asks_for_it(
    desired: Desired, complete: Actual, grant: Grant
) -> None:
    more = replace(complete, grants=complete.grants | {grant})
    assert plan(desired, more) == (Revoke(grant),)


def test_a_strangers_grant_stays_when_it_is_none_of_ours(
    desired: Desired, complete: Actual
) -> None:
    stranger = a_grant("weather-office", "weather")
    assert plan(desired, replace(complete, grants=complete.grants | {stranger})) == ()


def test_planning_refuses_when_a_topic_has_other_partitions(
    desired: Desired, complete: Actual
) -> None:
    wrong = replace(complete.topics[topics.STATE_CONSENT], partitions=6)
    with pytest.raises(PartitionsDiffer, match="got 6 partitions; expected 12"):
        plan(desired, replace(complete, topics={**complete.topics, wrong.name: wrong}))


def test_planning_refuses_when_a_group_lost_its_position_on_data(
    desired: Desired, complete: Actual
) -> None:
    lost = next(s for s in desired.starts if s.topic == "src.moj.civil-status.v1")
    broken = replace(
        complete,
        started=complete.started - {lost},
        occupied=frozenset({(lost.topic, lost.partition)}),
    )
    with pytest.raises(PositionLost, match="deliver everything twice"):
        plan(desired, broken)
    empty = replace(broken, occupied=frozenset())
    assert plan(desired, empty) == (StartGroup(lost.group, (lost,)),)


def birth_schema(nation: Nation) -> dict[str, Any]:
    contract = nation.policy.contracts[EventType("civil-status.BirthRegistered")]
    return copy.deepcopy(dict(contract.document))


def a_field(**changes: Any) -> dict[str, Any]:
    return {
        "name": "multiple_birth", "type": ["null", "boolean"], "default": None,
        "doc": "Whether siblings were born with the child.", "owner": "moj",
        "sensitivity": "basic", "category": None, "subject": "child",
    } | changes  # fmt: skip


def test_the_gate_opens_when_an_optional_field_is_added_or_dropped(nation: Nation) -> None:
    old = birth_schema(nation)
    new = birth_schema(nation)
    new["fields"].append(a_field())
    check_compatible(new, [old], subject="births")
    check_compatible(old, [old, new], subject="births")


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"type": "boolean"}, "a new field without default"),
        ({"name": "registered_at", "type": "string"}, "another type"),
    ],
)
def test_the_gate_stays_shut_when_readers_would_break(
    nation: Nation, field: dict[str, Any], why: str
) -> None:
    old, new = birth_schema(nation), birth_schema(nation)
    added = a_field(**field)
    added.pop("default")
    new["fields"] = [f for f in new["fields"] if f["name"] != added["name"]] + [added]
    with pytest.raises(Incompatible, match="do not fit"):
        check_compatible(new, [old], subject=why)


def test_the_gate_looks_at_every_version_when_the_newest_alone_would_pass(
    nation: Nation,
) -> None:
    text, optional, number = (birth_schema(nation) for _ in range(3))
    text["fields"].append(a_field(type=["null", "string"]))
    number["fields"].append(a_field(type=["null", "long"]))
    check_compatible(number, [optional], subject="births")
    with pytest.raises(Incompatible, match="version 1"):
        check_compatible(number, [text, optional], subject="births")


def test_planning_refuses_when_a_contract_breaks_a_registered_version(
    desired: Desired, complete: Actual
) -> None:
    subject = next(s for s in desired.subjects if s.name.endswith("BirthRegistered"))
    older = copy.deepcopy(dict(subject.document))
    older["fields"] = [*older["fields"], a_field(type="string")]
    del older["fields"][-1]["default"]
    broken = replace(complete, schemas={**complete.schemas, subject.name: (older,)})
    with pytest.raises(Incompatible, match="BirthRegistered"):
        plan(desired, broken)


def test_every_source_and_release_has_its_schema_when_subjects_are_planned(
    desired: Desired, nation: Nation
) -> None:
    names = {subject.name for subject in desired.subjects}
    assert "src.moj.civil-status.v1-vn.civil_status.BirthRegistered" in names
    assert (
        "dlv.vss.civil-status.v1-vn.civil_status.vss_child_health_insurance_v3.BirthRegistered"
        in names
    )
    releases = sum(len(agreement.releases) for agreement in nation.policy.agreements)
    assert len([name for name in names if name.startswith("dlv.")]) == releases
    assert isinstance(desired.subjects[0], Subject)
    assert set(BUS_PRINCIPALS) <= set(desired.principals)
