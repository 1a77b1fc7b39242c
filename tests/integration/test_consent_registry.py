"""The consent registry on the real servers: from an act to the fence, and through a crash."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.integration.registry_place import (
    RegistryPlace,
    registry_place,
)
from tests.unit.lookup_samples import BANK, verifying

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def place() -> Iterator[RegistryPlace]:
    with registry_place() as made:
        yield made


def test_a_bank_is_answered_exactly_while_a_consent_stands(place: RegistryPlace) -> None:
    assert place.lookups.code(verifying(), agency=BANK) == "no-consent"
    giving = place.giving()
    given = place.call("give", giving)
    assert given.status == 200, given.document
    assert given.document["consent"]["standing"] == "given"
    place.bus.wait(
        lambda: place.lookups.code(verifying(), agency=BANK) == "result", "the consent to bind"
    )
    withdrawn = place.call("withdraw", place.altering(giving, wait=True))
    assert withdrawn.status == 200, withdrawn.document
    assert withdrawn.document["event"]["topic"] == "src.vneid.consent.v1"
    assert withdrawn.document["fence"]["passed"] is True
    assert place.lookups.code(verifying(), agency=BANK) == "consent-withdrawn"
    id_ = giving["consent_id"]
    assert place.published(id_) == ["consent.ConsentGiven", "consent.ConsentWithdrawn"]
    assert [(r.kind, r.decision, r.consent) for r in place.records(id_)] == [
        (RecordKind.CONSENT_GIVE, Outcome.PERMIT, f"{id_}@1"),
        (RecordKind.CONSENT_WITHDRAW, Outcome.PERMIT, f"{id_}@2"),
    ]
    assert withdrawn.document["receipt"]["record_id"] in place.lookups.records()
