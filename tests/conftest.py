"""Fixtures of the whole suite: the real servers, a provisioned bus, and instances to be killed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache

import pytest
from civicbus_audit import cosignature, note
from civicbus_audit.standalone import verify as alone
from civicbus_deploy.embedded import java
from hypothesis import settings

from tests.bus import Bus
from tests.campaign import Rounds
from tests.foundation import Foundation
from tests.stack import Stack, sweep

# Of the tier on the real servers; begun last, one of them would leave the other worker idle.
LONGEST = (
    "test_demo",
    "test_i1_no_record_no_data",
    "test_consent_fence",
    "test_embedded_lifecycle",
)

java.expect_a_short_life()
EXAMPLES = 50  # of each property, drawn anew in every run; times as many as there are rounds


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rounds N`: how often each crash test kills (1 here, hundreds in `make campaign`)."""
    parser.addoption("--rounds", type=int, default=1, help="rounds of each crash test")
    parser.addoption("--seed", type=int, default=7, help="seed of the mutation campaign")


def pytest_configure(config: pytest.Config) -> None:
    """How many examples a property is held against, where it does not say so itself."""
    examples = EXAMPLES * int(config.getoption("--rounds"))
    settings.register_profile("house", deadline=None, max_examples=examples)  # no timing here
    settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others in their order."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def judged_signatures() -> Iterator[None]:
    """The same signature of the same key over the same bytes is judged once.

    The verifier that others copy takes milliseconds for it, OpenSSL a sixth of one, and recounts
    after each of a thousand crashes ask again and again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alone, "ed25519_verifies", lru_cache(4096)(alone.ed25519_verifies))
        judged = lru_cache(4096)(note.ed25519_verifies)
        for module in (note, cosignature):
            patch.setattr(module, "ed25519_verifies", judged)
        yield


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Rounds:
    """How many rounds a crash test runs; where they are many, it says on stderr how far it is."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(progress: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"{request.node.name}: {progress}", file=sys.stderr, flush=True)  # noqa: T201

    return Rounds(int(request.config.getoption("--rounds")), tell)


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What the mutation campaign draws from; it prints it where a mutation was not found."""
    return int(pytestconfig.getoption("--seed"))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Kafka, registry and PostgreSQL for the whole run. Use names of your own; kill nothing."""
    sweep()
    servers = Stack()
    try:
        yield servers.start()
    finally:
        servers.close()


@pytest.fixture(scope="session")
def foundation(request: pytest.FixtureRequest) -> Iterator[Foundation]:
    """The files of a provisioned bus, for `bus`."""
    sweep()
    users = {
        item.path
        for item in request.session.items
        if "foundation" in getattr(item, "fixturenames", ())
    }
    founded = Foundation(lasting=len(users) > 1)
    try:
        yield founded
    finally:
        founded.close()


@pytest.fixture(scope="module")
def bus(foundation: Foundation) -> Iterator[Bus]:
    """A provisioned bus of this module's own, as on its first day: all of it may be killed."""
    with foundation.opened() as opened:
        yield opened


@pytest.fixture
def make_stack() -> Iterator[Callable[..., Stack]]:
    """Makes started stacks of the test's own (`make_stack("kafka")`), which it may kill."""
    made: list[Stack] = []

    def make(*names: str) -> Stack:
        servers = Stack(names) if names else Stack()
        made.append(servers)
        return servers.start()

    yield make
    for servers in made:
        servers.close()
