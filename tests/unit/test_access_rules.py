"""National rules: what is refused as a rule, what a rule refuses, and that a rule always wins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from civicbus_consumers.access.decide import decide
from civicbus_consumers.access.permits import RELEASE
from civicbus_consumers.access.plan import Plan, compile_plan
from civicbus_consumers.access.rule_files import MAX_RULE_BYTES
from civicbus_consumers.access.rules import Authority, Bans, Signing
from civicbus_schemas.consent import NO_CONSENTS
from civicbus_schemas.decision import Deny, Facts, Permit
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import Reason

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import BIRTH, Document

AT = datetime(2026, 6, 1, 5, tzinfo=UTC)
NOTES = '@id("a-rule") @legalbasis("Law 3")\n'
NO_ETHNICITY = NOTES + "forbid (principal, action, resource) when {{ resource.{} }};"
BY_PATH = NO_ETHNICITY.format('path == "child.ethnicity"')
MINORS = NOTES + "forbid (principal, action, resource) when { context.minor };"


def policy(*rules: str, **changes: Any) -> PolicySet:
    """The sample set under these rules."""
    document = samples.policy() | {"rules": {f"r{n}": text for n, text in enumerate(rules)}}
    deal: Document = document["agreements"][0]
    deal["releases"][BIRTH].update(changes)
    return parse_policy_set(samples.policy_bytes(document))


def compiled(*rules: str, **changes: Any) -> Plan:
    return compile_plan(policy(*rules, **changes), pairwise_key_of=lambda _: b"k" * 32)


def decided(plan: Plan, born: date | None) -> Permit | Deny:
    planned = plan.find(AgencyId("moj"), BIRTH)
    assert planned is not None
    facts = Facts(
        provider=AgencyId("moj"),
        event_type=BIRTH,
        contract=planned.contract.fingerprint,
        values=dict.fromkeys(planned.decision_paths, (born,)),
    )
    (decision,) = decide(facts, plan, NO_CONSENTS, AT)
    return decision


# --- what is no rule -----------------------------------------------------------------------------

CONDITION = "forbid (principal, action, resource) when {{ {} }};"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("forbid (", "not Cedar"),
        ("Ngày mai", "not Cedar"),
        (NOTES + "permit (principal, action, resource);", "permits"),
        ("forbid (principal, action, resource);", "without @id"),
        ('@id("a") forbid (principal, action, resource);', "without @id or @legalbasis"),
        ('@id("") @legalbasis("Law 3") forbid (principal, action, resource);', "without @id"),
        (NOTES.replace("a-rule", "A rule") + CONDITION.format("true"), "rule id"),
        (NOTES + "forbid (principal == ?principal, action, resource);", "templates"),
        (NOTES + CONDITION.format("resource.colour == 1"), "does not fit the schema"),
        (NOTES + CONDITION.format('resource.path == "a" || context.ip == "b"'), "the schema"),
        (NOTES + CONDITION.format("resource.sensitivity > 3"), "does not fit the schema"),
        (NOTES + 'forbid (principal == Officer::"a", action, resource);', "the schema"),
        (NOTES + 'forbid (principal, action == Action::"delete", resource);', "the schema"),
        # what changes while a set is in force, and what no rule needs to know
        (NOTES + CONDITION.format("context.day > 20270101"), "does not fit the schema"),
        (NOTES + CONDITION.format("context.consent"), "does not fit the schema"),
        (NOTES + CONDITION.format('context.agreement == "x"'), "does not fit the schema"),
        (BY_PATH + BY_PATH, "ids of its own"),
        ("//" + "x" * MAX_RULE_BYTES, "too large"),
        ("\n".join(BY_PATH.replace("a-rule", f"r{n}") for n in range(201)), "at most 200"),
    ],
)
def test_the_set_is_refused_when_a_rule_is_none(text: str, reason: str) -> None:
    with pytest.raises(InvalidAgreement, match=reason) as caught:
        Authority(policy(text))
    assert "rules/r0.cedar" in str(caught.value)


@pytest.mark.parametrize("form", ["as-is", "exists", {"equal": "Kinh"}])
def test_a_rule_about_a_field_holds_when_the_field_is_released_in_any_form(form: Any) -> None:
    fields = ["child.pin", {"child.ethnicity": form}]
    compiled(fields=fields)
    with pytest.raises(InvalidAgreement, match=r"a-rule forbids child\.ethnicity"):
        compiled(BY_PATH, fields=fields)


def test_the_set_is_refused_when_two_files_give_one_id() -> None:
    with pytest.raises(InvalidAgreement, match=r"rules/r1\.cedar"):
        Authority(policy(BY_PATH, BY_PATH))


# --- who may sign a consent ----------------------------------------------------------------------

SIGNED = NOTES + 'forbid (principal, action == Action::"consent", resource) when {{ {} }};'


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("false", Signing(grown=0, minor=0)),
        ("context.eid_level < 1", Signing(grown=1, minor=1)),
        ("context.eid_level < 2 && context.minor", Signing(grown=0, minor=2)),
        ("context.minor", Signing(grown=0, minor=None)),
        ("true", Signing(grown=None, minor=None)),
    ],
)
def test_who_may_sign_is_what_the_rules_say(condition: str, expected: Signing) -> None:
    under = policy(SIGNED.format(condition))
    signings = Authority(under).signings(under.agreements[0])
    assert signings[f"{BIRTH}:child.pin"] == expected
    compiled(SIGNED.format(condition))  # what is released is another question


# --- what a rule forbids -------------------------------------------------------------------------


def test_a_set_is_refused_when_an_agreement_names_what_a_rule_forbids_about_everybody() -> None:
    compiled(BY_PATH)
    with pytest.raises(InvalidAgreement) as caught:
        compiled(BY_PATH, fields=["child.pin", "child.ethnicity"])
    said = str(caught.value)
    assert all(word in said for word in ("vss.child-insurance@3", "a-rule", "child.ethnicity"))
    assert "Law 3" in said


@pytest.mark.parametrize(
    ("expression", "forbids"),
    [
        ('context.purpose in Purpose::"minors"', True),
        ('context.purpose in Purpose::"grown"', False),
        ("context.basis.needs_consent", False),
        ("context.basis.sensitive", True),
        ('principal.kind == "state"', True),
        ('principal == Agency::"bank"', False),
        ('resource.owner == Agency::"moj"', True),
        ('resource.sensitivity == "sensitive"', False),
        ("resource.of_key_subject", True),
        ('action == Action::"read"', False),
    ],
)
def test_rules_read_who_what_and_why(expression: str, forbids: bool) -> None:
    rule = NOTES + CONDITION.format(expression)
    if forbids:
        with pytest.raises(InvalidAgreement, match="a-rule"):
            compiled(rule, fields=["child.full_name"])
    else:
        compiled(rule, fields=["child.full_name"])


def test_another_agreement_does_not_lend_its_permission() -> None:
    """Cedar is asked under one agreement: what another one permits does not count."""
    under = policy()
    authority, (first, second) = Authority(under), under.agreements
    with pytest.raises(InvalidAgreement, match="does not permit what it names"):
        authority.bans(first, RELEASE, dataset=BIRTH, paths=["child.ethnicity"])
    with pytest.raises(InvalidAgreement, match="does not permit what it names"):
        authority.bans(second, RELEASE, dataset=BIRTH, paths=["child.full_name"])


# --- what depends on age -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "permitted"),
    [
        (date(2008, 6, 1), True),  # eighteen today
        (date(2008, 6, 2), False),
        (date(2026, 6, 1), False),
        (date(2026, 6, 2), False),  # not born yet: nobody knows their age
        (None, False),
    ],
)
def test_a_minor_and_somebody_of_unknown_age_are_denied_by_the_rule(
    born: date | None, permitted: bool
) -> None:
    decision = decided(compiled(MINORS, only_if=[]), born)
    assert isinstance(decision, Permit) == permitted
    if isinstance(decision, Deny):
        assert (decision.reason, decision.rule) == (Reason.FORBIDDEN_BY_RULE, "a-rule")


def test_the_age_is_no_fact_where_no_rule_asks_for_it() -> None:
    planned = compiled(only_if=[]).find(AgencyId("moj"), BIRTH)
    assert planned is not None
    assert planned.decision_paths == ()


def test_bans_about_a_person_of_unknown_age_are_all_of_them() -> None:
    assert Bans().about(minor=None) is None
    assert Bans(grown="a").about(minor=None) == "a"
    assert (Bans(minor="a").about(minor=True), Bans(minor="a").about(minor=False)) == ("a", None)


def test_whole_set_agrees_with_the_plan_when_it_is_sound() -> None:
    Authority(policy()).check_whole()


def test_a_set_is_blocked_when_cedar_over_the_whole_of_it_says_otherwise() -> None:
    authority = Authority(policy())
    forbids_all = authority._whole.with_added_str(NOTES + "forbid (principal, action, resource);")
    authority.__dict__["_whole"] = forbids_all
    with pytest.raises(InvalidAgreement, match="plan and Cedar differ"):
        authority.check_whole()


def test_a_suspended_agreement_permits_nothing_when_cedar_is_asked_over_the_whole_set() -> None:
    of = policy()
    stopped = tuple(replace(a, standing=Standing.SUSPENDED) for a in of.agreements)
    Authority(replace(of, agreements=stopped)).check_whole()
