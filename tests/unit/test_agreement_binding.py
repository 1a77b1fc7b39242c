"""From files and signatures to what may be announced: drafts stay out, approved text is fixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from civicbus_deploy.agreements import acting
from civicbus_deploy.embedded import secrets
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.binding import bind, missing
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import Nation, load_nation
from civicbus_deploy.provisioning.officers import (
    appoint,
    approve_all,
    keep_statements,
    key_file,
    read_statements,
    sign,
    trust_of,
)
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.errors import Refused
from civicbus_schemas.policy import parse_policy_set, terms_of
from civicbus_schemas.statement import Party, Role, Standing, Statement, Word

from tests.unit import schemas_samples as samples
from tests.unit.statement_samples import MOJ, MPS, approvals, statement


def nation(**changes: object) -> Nation:
    document = samples.policy() | changes
    return Nation(policy=parse_policy_set(samples.policy_bytes(document)), document=document)


def first(of: Nation) -> Agreement:
    return of.policy.agreements[0]


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder.at(tmp_path / "home")
    made.make()
    return made


def test_drafts_stay_out_when_a_signature_is_missing() -> None:
    draft = nation()
    one = approvals(first(draft))[:1]
    bound = bind(draft, one)
    assert (bound.policy.agreements, bound.policy.statements) == ((), ())
    assert [d.ref for d in bound.drafts] == [a.ref for a in draft.policy.agreements]
    assert missing(first(draft), one) == [str(MPS)]


def test_an_agreement_is_bound_with_its_signatures_when_both_have_signed() -> None:
    of = nation()
    bound = bind(of, [*approvals(first(of)), *approvals(first(of))])
    assert [a.standing for a in bound.policy.agreements] == [Standing.APPROVED]
    assert len(bound.policy.statements) == 2
    assert parse_policy_set(bound.data) == bound.policy


def test_the_set_is_the_same_when_statements_come_in_another_order() -> None:
    of = nation()
    signed = [s for a in of.policy.agreements for s in approvals(a)]
    assert bind(of, signed).policy.version == bind(of, signed[::-1]).policy.version


def test_text_that_was_approved_cannot_change_under_its_version() -> None:
    of = nation()
    changed = samples.policy()
    changed["agreements"][0]["retention"] = "P9Y"
    with pytest.raises(InvalidNation, match="approved in other terms"):
        bind(nation(agreements=changed["agreements"]), approvals(first(of)))


def test_a_draft_may_change_when_only_one_has_signed() -> None:
    of = nation()
    changed = samples.policy()
    changed["agreements"][0]["retention"] = "P9Y"
    again = nation(agreements=changed["agreements"])
    one = approvals(first(of))[:1]
    assert missing(first(again), one) == [str(MOJ), str(MPS)]
    assert not bind(again, one).policy.agreements


def test_a_suspension_travels_with_the_set_when_it_was_signed() -> None:
    of = nation()
    stop = statement(str(first(of).ref), terms=first(of).terms, word=Word.SUSPEND, days=1)
    [agreement] = bind(of, [*approvals(first(of)), stop]).policy.agreements
    assert agreement.standing is Standing.SUSPENDED


def test_terms_are_the_same_when_a_file_is_written_otherwise() -> None:
    packaged = load_nation()
    for body, agreement in zip(
        packaged.document["agreements"], packaged.policy.agreements, strict=True
    ):
        assert terms_of(dict(reversed(body.items()))) == agreement.terms


def test_officers_of_a_stack_sign_for_their_own_party_only(folder: StateFolder) -> None:
    agreement = first(nation())
    appoint(folder, agreement.approved_by)
    appoint(folder, agreement.approved_by)
    trust = trust_of(folder)
    assert {officer.party for officer in trust.officers.values()} == {MOJ, MPS}
    signed = approve_all(folder, [agreement])
    assert all(map(trust.vouches, signed))
    with pytest.raises(Refused, match="not trusted for mps"):
        sign(agreement, Word.APPROVE, party=MPS, key_file=key_file(folder, MOJ), trust=trust)
    bank = Party(agreement.recipient, Role.PROVIDER)
    with pytest.raises(Refused, match="is no party"):
        sign(agreement, Word.APPROVE, party=bank, key_file=key_file(folder, MOJ), trust=trust)
    with pytest.raises(InvalidSettings, match="no key of"):
        sign(agreement, Word.APPROVE, party=MPS, key_file=folder.secrets / "none", trust=trust)


def test_nobody_comes_to_be_trusted_when_an_officer_brings_a_key(folder: StateFolder) -> None:
    of = nation()
    ref, own = str(first(of).ref), key_file(folder, MPS)
    assert acting.approve(folder, of, [ref], role=Role.DATA_PROTECTION)
    before = trust_of(folder)
    stranger = folder.secrets / "stranger.pem"
    stranger.write_bytes(secrets.ed25519_pem())
    stranger.chmod(0o600)
    with pytest.raises(Refused, match="not trusted for moj"):
        acting.approve(folder, of, [ref], role=Role.PROVIDER, key=stranger)
    assert trust_of(folder) == before
    assert acting.approve(folder, of, [ref], role=Role.DATA_PROTECTION, key=own)
    assert len(read_statements(folder)) == 2


def test_what_was_signed_is_read_again_when_it_was_kept(folder: StateFolder) -> None:
    agreement = first(nation())
    signed: list[Statement] = approvals(agreement)
    assert read_statements(folder) == []
    keep_statements(folder, signed[:1])
    keep_statements(folder, [replace(signed[1], reason="nghị định mới")])
    assert read_statements(folder) == [signed[0], replace(signed[1], reason="nghị định mới")]
