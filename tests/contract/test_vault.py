"""What every vault does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest
from civicbus_audit.index import database
from civicbus_audit.index.database import make_engine
from civicbus_audit.vault.database import migrate
from civicbus_audit.vault.port import Erasing, Vault
from civicbus_audit.vault.store import PostgresVault
from civicbus_schemas import subject as subjects
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.pseudonym import LedgerPseudonym

from tests.fakes.vault import KEY, FakeVault
from tests.stack import Stack

LAN = subjects.person(Pin("001324012345"))
EVERYBODY = (
    LAN,
    subjects.person(Pin("001324012346")),
    subjects.officer(AgencyId("vss"), "lan"),
    subjects.case(AgencyId("vss"), "lan"),
)


class AnyVault(Vault, Erasing, Protocol):
    """All that the roles may together."""


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.broker)])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], AnyVault]]:
    """Each vault in turn; every call gives somebody else's access to the same secrets."""
    if request.param == "memory":
        shared = FakeVault()
        yield lambda: shared
        return
    stack: Stack = request.getfixturevalue("stack")
    dsn = stack.create_database()
    (tmp_path / "dsn").write_text(dsn)
    engine = make_engine(tmp_path / "dsn")
    migrate(engine)
    migrate(engine)  # harmless
    engine.dispose()
    made: list[PostgresVault] = []

    def connected() -> PostgresVault:
        made.append(PostgresVault(dsn, KEY))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def vault(connect: Callable[[], AnyVault]) -> AnyVault:
    return connect()


def test_everybody_has_a_secret_of_their_own_when_asked_together(vault: AnyVault) -> None:
    secrets = vault.get_or_create(EVERYBODY)
    assert set(secrets) == set(EVERYBODY)
    assert len({secret.pseudonym for secret in secrets.values()}) == len(EVERYBODY)
    assert len({secret.sealing_key for secret in secrets.values()}) == len(EVERYBODY)


def test_a_subject_keeps_its_secret_when_somebody_else_asks_again(
    connect: Callable[[], AnyVault],
) -> None:
    first = connect().get_or_create(EVERYBODY[:2])
    assert connect().get_or_create(EVERYBODY)[LAN] == first[LAN]
    assert connect().find([LAN]) == {LAN: first[LAN]}
    assert connect().named([first[LAN].pseudonym]) == {first[LAN].pseudonym: first[LAN]}


def test_nothing_is_made_when_it_is_only_looked_for(vault: AnyVault) -> None:
    assert vault.find(EVERYBODY) == {}
    assert vault.named([LedgerPseudonym("ab" * 16)]) == {}
    assert vault.find([]) == vault.named([]) == vault.get_or_create([]) == {}
    assert vault.find(EVERYBODY) == {}


def test_all_agree_on_the_secrets_when_many_make_the_same_ones_at_once(
    connect: Callable[[], AnyVault],
) -> None:
    asked = [subjects.person(Pin(f"0013240{number:05}")) for number in range(50)]
    orders = [asked, asked[::-1], asked[25:] + asked[:25], asked[::2] + asked[1::2]]
    with ThreadPoolExecutor(len(orders)) as threads:
        answers = list(threads.map(lambda order: connect().get_or_create(order), orders))
    assert all(answer == answers[0] for answer in answers)


def test_a_destroyed_secret_never_comes_back_when_the_subject_is_met_again(
    vault: AnyVault,
) -> None:
    before = vault.get_or_create(EVERYBODY)
    assert vault.destroy(before[LAN].pseudonym)
    assert not vault.destroy(before[LAN].pseudonym)
    assert vault.find(EVERYBODY) == {s: before[s] for s in EVERYBODY if s != LAN}
    assert vault.named([before[LAN].pseudonym]) == {}
    after = vault.get_or_create([LAN])[LAN]
    assert after.pseudonym != before[LAN].pseudonym
    assert after.sealing_key != before[LAN].sealing_key


def test_only_a_persons_secret_is_destroyed_when_officers_and_cases_are_named_as_well(
    vault: AnyVault,
) -> None:
    """Else who did what, and in which case, could be taken out of the evidence."""
    before = vault.get_or_create(EVERYBODY)
    for subject, secret in before.items():
        is_person = subject.kind is subjects.SubjectKind.PERSON
        assert vault.has_person(secret.pseudonym) == is_person
        assert vault.destroy(secret.pseudonym) == is_person
        assert not vault.has_person(secret.pseudonym)
    assert vault.find(EVERYBODY) == {subject: before[subject] for subject in EVERYBODY[2:]}


def test_a_vault_that_is_not_there_is_unavailable() -> None:
    vault = PostgresVault("postgresql://nobody:nothing@127.0.0.1:1/none", KEY)
    with pytest.raises(Unavailable, match="vault") as caught:
        vault.get_or_create([LAN])
    assert LAN.name not in str(caught.value)


@pytest.mark.broker
def test_no_plan_is_kept_when_a_statement_is_repeated(stack: Stack) -> None:
    with database.connect(stack.create_database(), statement_s=2) as connection:
        for number in range(20):
            connection.execute("select %s = any(%s)", (number, [1, 2, 3]))
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
