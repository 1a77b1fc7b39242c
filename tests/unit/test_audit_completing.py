"""`prove-complete` and `verify --complete`: what people are told, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from civicbus_audit.cli import app
from civicbus_audit.index.searching import confirm_complete
from civicbus_audit.ledger import Ledger
from civicbus_audit.places import Places
from civicbus_audit.query import Query
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.standalone import verify as alone
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import AgencyId, Pin, RecorderId
from civicbus_schemas.subject import officer as officer_called
from civicbus_schemas.subject import person as person_with
from typer.testing import CliRunner, Result

from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision
from tests.fakes.vault import FakeVault, secret_of
from tests.unit.completeness_samples import LOG, ORIGIN, investigation, person

PIN = "001324012345"
CITIZEN, OFFICER = person_with(Pin(PIN)), officer_called(AgencyId("bank"), "o-17")
SUBJECT = secret_of(CITIZEN).pseudonym


class OpenVault(FakeVault):
    """As commands open it."""

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a ledger of two pages, an index commit between them."""
    for name in ("keys", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    recorder = FakeRecorder(RecorderId("a" * 32))
    vault = OpenVault()
    vault.get_or_create([CITIZEN, OFFICER])
    monkeypatch.setattr(Places, "vault", lambda _places: vault)
    pages = [
        recorder.write(
            decision(subject=SUBJECT),
            decision(subject=person(7), recipient="bank", officer=secret_of(OFFICER).pseudonym),
            investigation(3),
        ),
        recorder.write(decision(subject=SUBJECT, recipient="bank")),
    ]
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(
            [
                PageMessage(offset=i, at=AT + timedelta(hours=i), value=frame(7, page.encode()))
                for i, page in enumerate(pages)
            ]
        )
    return tmp_path


def run(home: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)], input=stdin)


def test_a_proof_says_what_is_proved_and_what_was_only_read_when_it_is_written_and_verified(
    home: Path,
) -> None:
    file = home / "readings.complete"
    made = run(home, "prove-complete", PIN, "-o", str(file))
    sentences = (
        f"Asked for: person, investigations, {SUBJECT}\n"
        f"Asked for: person, decisions, {SUBJECT}\n"
        "Up to leaf 4 the ledger has 1 of this, and nothing else: proved by 1 index commits.\n"
        "Found by reading the ledger anew up to leaf 7, not proved to be all: 1.\n"
    )
    assert made.stdout == f"{sentences}The proof is in {file}.\n"
    read = run(home, "verify", "--complete", str(file))
    assert read.exit_code == 0
    assert read.stdout.endswith(sentences)
    assert "health-insurance.enrol-child" in read.stdout
    told = json.loads(run(home, "verify", "--complete", str(file), "--json").stdout)
    assert (told["covered"], told["size"], told["commits"]) == (4, 7, 1)
    assert [record["index"] for record in told["records"]] == [1, 6]
    assert told["hidden"] is None
    vietnamese = run(home, "verify", "--complete", str(file), "--lang", "vi").stdout
    assert "được chứng minh bằng 1 bản chốt chỉ mục" in vietnamese


def test_the_verifier_that_stands_alone_says_the_same_when_it_is_asked(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, policy = home / "readings.complete", home / "policy"
    policy.write_text(f"log {LOG.verifier}\nquorum none\n")
    run(home, "prove-complete", PIN, "--as-citizen", "-o", str(file))
    assert alone.main(["complete", str(file), "--policy", str(policy)]) == 0
    assert capsys.readouterr().out == (
        f"Asked for: subject {SUBJECT}\n"
        "Up to leaf 4 the ledger civicbus.local/audit has 1 of this, and nothing else: "
        "proved by 1 index commits.\n"
        "Found by reading on to leaf 7, not proved to be all: 1.\n"
        "Counted, and not shown: 0 in investigations that go on.\n"
    )
    file.write_bytes(file.read_bytes()[:-1])
    assert alone.main(["complete", str(file), "--policy", str(policy)]) == 1


def test_officers_agencies_and_other_pseudonyms_are_proved_when_asked_for(home: Path) -> None:
    def told(*arguments: str, stdin: str | None = None) -> dict[str, object]:
        asked = ("prove-complete", *arguments, "-o", str(home / "p"), "--json")
        document: dict[str, object] = json.loads(run(home, *asked, stdin=stdin).stdout)
        return document

    assert told("--agency", "bank")["proved"] == 1
    assert told("--agency", "bank", "--officer", "o-17")["proved"] == 1
    assert told("-", "--subject", person(7), stdin=f"{PIN}\n")["proved"] == 2
    hidden = told("--subject", person(3), "--as-citizen")
    assert (hidden["proved"], hidden["rescanned"], hidden["hidden"]) == (0, 0, 1)
    later = told(PIN, "--since", "2026-12-01")
    assert (later["proved"], later["rescanned"]) == (0, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (PIN, "--agency", "bank"),
        ("--officer", "o-17"),
        ("--agency", "bank", "--as-citizen"),
        ("--subject", "no-hex"),
        ("001324012346",),
    ],
)
def test_nothing_is_proved_when_it_is_not_said_of_whom(
    home: Path, arguments: tuple[str, ...]
) -> None:
    refused = run(home, "prove-complete", *arguments, "-o", str(home / "p"))
    assert (refused.exit_code, (home / "p").exists()) == (2, False)


def test_verify_exits_with_1_when_a_proof_was_changed_and_2_when_two_things_are_asked(
    home: Path,
) -> None:
    file = home / "p"
    run(home, "prove-complete", PIN, "-o", str(file))
    assert run(home, "verify", "--complete", str(file), "--proof", str(file)).exit_code == 2
    assert run(home, "verify", "--complete", str(home / "none")).exit_code == 2
    file.write_bytes(file.read_bytes().replace(b'"leaves":[1]', b'"leaves":[2]'))
    assert run(home, "verify", "--complete", str(file)).exit_code == 1


@pytest.mark.parametrize("asked", [("--complete", "none.complete"), ("--recount",)])
def test_it_is_refused_when_a_proof_is_asked_for_about_somebody_unknown(
    home: Path, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    refused = run(home, "who-read", "001199054321", *asked)
    assert (refused.exit_code, "the vault knows no such person" in refused.stderr) == (2, True)
    assert not (home / "none.complete").exists()


@pytest.mark.parametrize(("indexed", "hides"), [(0, False), (7, True)])
def test_a_leaf_is_called_hidden_only_when_the_index_had_come_to_it(
    home: Path, indexed: int, hides: bool
) -> None:
    log = Places.under(home).log()
    query = Query(subject=SUBJECT, decided=True)
    if hides:
        with pytest.raises(EvidenceBroken, match="the index hides leaf"):
            confirm_complete([], query, log, indexed=indexed)
    else:
        assert len(confirm_complete([], query, log, indexed=indexed)) == 2
