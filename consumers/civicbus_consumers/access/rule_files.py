"""National rules as files: only sound Cedar, only `forbid`, each with an id and its ground in law.

What rules may read does not change while a set is in force, but for `minor`; the permits that
agreements become read more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import cedarpy
from civicbus_schemas.errors import InvalidAgreement, InvalidIdentifier
from civicbus_schemas.ids import word_id

MAX_RULES, MAX_RULE_BYTES = 200, 64 * 1024

_SCHEMA = """
entity Agency = { kind: String };
entity Purpose in [Purpose];
entity Basis = { needs_consent: Bool, sensitive: Bool };
entity Field = {
  dataset: String,
  path: String,
  owner: Agency,
  sensitivity: String,
  category: String,
  of_key_subject: Bool,
};
type Asked = {
  purpose: Purpose,
  basis: Basis,
  minor: Bool,%(findings)s
};
type Signed = {
  purpose: Purpose,
  basis: Basis,
  minor: Bool,%(findings)s
  eid_level: Long,
};
action release, read, verify appliesTo { principal: Agency, resource: Field, context: Asked };
action consent appliesTo { principal: Agency, resource: Field, context: Signed };
"""
SCHEMA_OF_RULES = _SCHEMA % {"findings": ""}
SCHEMA = _SCHEMA % {
    "findings": "agreement: String, day: Long, conditions: Bool, consent: Bool, break_glass: Bool,"
}


def check_rules(rules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every rule's id and its ground in law; raises `InvalidAgreement`, which names the file."""
    seen: set[str] = set()
    for name, text in rules.items():
        where = f"rules/{name}.cedar"
        if len(text.encode()) > MAX_RULE_BYTES:
            raise InvalidAgreement(f"{where}: too large", expected=f"{MAX_RULE_BYTES} bytes")
        for rule, ground in _policies(text, where):
            if rule in seen or len(seen) == MAX_RULES:
                raise InvalidAgreement(
                    f"{where}: rule {rule!a}", expected=f"ids of its own, at most {MAX_RULES}"
                )
            seen.add(rule)
            yield rule, ground


def _policies(text: str, where: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise InvalidAgreement(f"{where}: not Cedar", got=str(error)[:200]) from None
    if document["templates"]:
        raise InvalidAgreement(f"{where}: templates", expected="forbid policies")
    for policy in document["staticPolicies"].values():
        notes = policy.get("annotations", {})
        if policy["effect"] != "forbid":
            raise InvalidAgreement(
                f"{where}: a rule that permits",
                got=notes.get("id"),
                expected="forbid; only agreements permit",
            )
        if not (notes.get("id") and notes.get("legalbasis")):
            raise InvalidAgreement(f"{where}: a rule without @id or @legalbasis", got=sorted(notes))
        try:
            rule = word_id(notes["id"], what="rule id")  # it will stand in records
        except InvalidIdentifier as error:
            raise InvalidAgreement(f"{where}: {error.what}", expected=error.expected) from None
        yield rule, notes["legalbasis"]
    validated = cedarpy.validate_policies(text, SCHEMA_OF_RULES)
    if not validated.validation_passed:
        raise InvalidAgreement(
            f"{where}: a rule does not fit the schema", got=str(validated.errors[0].error)[:300]
        )
