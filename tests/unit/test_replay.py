"""Past decisions made again: the same while nothing was changed, and found out when it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.places import Places
from civicbus_audit.stored import StoredLog
from civicbus_consumers.lookup.rules import REFUSALS
from civicbus_consumers.replay.past import Past
from civicbus_consumers.replay.reading import past_decisions
from civicbus_consumers.replay.rules import Finding, replay
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.hindsight.archive import library, open_ledger, stored_sets
from civicbus_deploy.hindsight.replaying import app
from civicbus_schemas.consent import NO_CONSENTS
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from typer.testing import CliRunner, Result

from tests.unit import lookup_samples
from tests.unit.replay_archive import VAULT, make_archive


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands open the archive's vault, which is in memory."""
    monkeypatch.setattr(Places, "vault", lambda _: VAULT)


@pytest.fixture(scope="module")
def pasts(home: Path) -> list[Past]:
    """Every decision in the archive."""
    return list(past_decisions(open_ledger(StateFolder(home)), VAULT))


@pytest.fixture
def changed(home: Path) -> Iterator[Path]:
    """The same, to be spoilt: whatever the test changes is put back."""
    kept = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    yield home
    for path, data in kept.items():
        path.write_bytes(data)


def findings(home: Path, pasts: list[Past]) -> list[Finding]:
    """What each replay comes to."""
    return [r.finding for r in replay(pasts, library(stored_sets(home / "sets")))]


def call(home: Path, *more: str) -> Result:
    """The command, on the sets in the folder."""
    arguments = ["--home", str(home), "--sets", str(home / "sets"), *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def run(home: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON object."""
    done = call(home, "--json", *more)
    return done.exit_code, json.loads(done.stdout)


def test_every_decision_is_the_same_when_nothing_was_changed(home: Path, pasts: list[Past]) -> None:
    assert set(findings(home, pasts)) == {Finding.SAME}
    systems = Counter(past.record.actor.system for past in pasts)
    assert (systems["lookup"], systems["stream"] > 20) == (11, True)
    reasons = {past.record.reason for past in pasts}
    assert reasons >= {
        None, Reason.EXPIRED, Reason.NO_CONSENT, Reason.CONSENT_WITHDRAWN,
        Reason.FORBIDDEN_BY_RULE, Reason.CONSENT_TOO_NARROW, Reason.IDENTITY_MISMATCH,
        Reason.SUBJECT_NOT_FOUND, Reason.FIELD_NOT_IN_AGREEMENT, Reason.PURPOSE_MISMATCH,
        Reason.CONSENT_USED_UP,
    }  # fmt: skip


def test_command_counts_and_exits_with_0_when_nothing_differs(home: Path) -> None:
    code, told = run(home)
    assert (code, told["differences"]) == (0, [])
    assert told["findings"] == {"same": told["decisions"]}
    said = call(home)
    assert said.stdout == f"decisions {told['decisions']}: same {told['decisions']}\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": Outcome.DENY, "reason": Reason.NO_CONSENT},
        {"agreement": None},
        {"consent": "c-9@1"},
        {"purpose": "statistics.births"},
        {"basis": "law.other"},
        {"fields": ("holder.religion",)},
    ],
)
def test_difference_is_found_when_a_record_says_something_else(
    home: Path, pasts: list[Past], changes: dict[str, Any]
) -> None:
    permitted = [p for p in pasts if p.record.decision is Outcome.PERMIT and p.record.consent]
    spoilt = [replace(p, record=replace(p.record, **changes)) for p in permitted]
    assert spoilt
    assert set(findings(home, spoilt)) == {Finding.DIFFERS}


def test_difference_is_found_when_other_consents_or_facts_were_sealed(
    home: Path, pasts: list[Past]
) -> None:
    on_consent = [p for p in pasts if p.record.decision is Outcome.PERMIT and p.record.consent]
    without = [
        replace(p, sealed=replace(p.sealed, consents=NO_CONSENTS))
        for p in on_consent
        if p.sealed is not None
    ]
    assert without
    assert set(findings(home, without)) == {Finding.DIFFERS}


def test_difference_is_found_when_a_further_person_is_told_something_else(
    home: Path, pasts: list[Past]
) -> None:
    [further] = [n for n, p in enumerate(pasts) if n and p.is_further(pasts[n - 1])]
    first, other = pasts[further - 1], pasts[further]
    assert findings(home, [first, other]) == [Finding.SAME, Finding.SAME]
    spoilt = replace(other, record=replace(other.record, basis="law.other"))
    assert findings(home, [first, spoilt]) == [Finding.SAME, Finding.DIFFERS]
    assert findings(home, [other]) == [Finding.OTHER_FORM]  # nobody whose request it was


def test_command_exits_with_1_and_names_leaves_when_sealed_parts_were_changed(
    changed: Path,
) -> None:
    [part] = [path for path in (changed / "ledger/sealed").rglob("*") if path.is_file()]
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(bytes(data))
    code, told = run(changed)
    assert code == 1
    assert not any(value in json.dumps(told) for value in lookup_samples.PERSONAL)
    [difference] = told["differences"]
    assert (difference["finding"], difference["replayed"]) == (Finding.BROKEN, None)
    assert difference["recorded"]["reason"] == Reason.PURPOSE_MISMATCH


def test_a_destroyed_secret_is_a_difference_unless_an_erasure_is_on_record(
    home: Path, pasts: list[Past]
) -> None:
    log, name = open_ledger(StateFolder(home)), pasts[-1].record.subject
    assert name is not None
    vault = replace(VAULT, rows=dict(VAULT.rows))
    vault.destroy(name)
    about = sum(past.record.subject == name for past in pasts)
    unordered = findings(home, list(past_decisions(log, vault)))
    assert Counter(unordered) == {Finding.SAME: len(pasts) - about, Finding.BROKEN: about}
    erasure = replace(pasts[-1].record, kind=RecordKind.SUBJECT_ERASURE)

    class Ordered(StoredLog):
        def leaves(self, *ends: int) -> Iterator[tuple[int, bytes]]:
            yield from super().leaves(*ends)
            yield self.size, erasure.encode()

    ordered = past_decisions(Ordered(LedgerDirectory(home / "ledger").read, log.size), vault)
    assert Counter(findings(home, list(ordered)))[Finding.ERASED] == about


def test_sealed_parts_are_broken_and_not_erased_when_their_file_is_gone(changed: Path) -> None:
    for part in (changed / "ledger/sealed").rglob("*"):
        if part.is_file():
            part.unlink()
    code, told = run(changed)
    assert (code, told["findings"]) == (1, {Finding.BROKEN: told["decisions"]})


def test_decisions_are_counted_as_unreplayable_when_their_policy_set_is_not_there(
    changed: Path,
) -> None:
    (changed / "sets/announced.json").write_text("{}")
    code, told = run(changed)
    assert code == 0
    assert told["findings"][Finding.NO_POLICY] == told["decisions"] - 1  # but the further person
    assert told["differences"] == []


def test_limit_is_taken_on_trust_when_all_before_it_permitted(
    home: Path, pasts: list[Past]
) -> None:
    """How much was asked in that second is not known any more; that it was asked properly is."""
    looked_up = [
        p for p in pasts if p.record.actor.system == "lookup" and p.record.recipient != "moj"
    ]
    refused = {"decision": Outcome.DENY, "reason": Reason.LIMIT_EXCEEDED, "consent": None}
    limited = [replace(p, record=replace(p.record, **refused)) for p in looked_up]
    earlier = REFUSALS[: REFUSALS.index(Reason.LIMIT_EXCEEDED)]
    for past, finding in zip(looked_up, findings(home, limited), strict=True):
        properly = past.record.reason not in earlier
        assert finding is (Finding.SAME if properly else Finding.DIFFERS)


def test_only_the_last_days_are_replayed_when_that_is_asked(home: Path) -> None:
    assert run(home, "--days", "0")[1]["decisions"] == 0
    assert run(home, "--days", "9")[1]["decisions"] > 0
