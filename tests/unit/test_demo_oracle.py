"""The oracle by itself: worked out by hand, independent, and able to disagree."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from civicbus_deploy.demo import oracle as module
from civicbus_deploy.demo.oracle import Oracle
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation
from civicbus_schemas.codec import AvroType

KEY = b"p" * 32
BIRTH = "civil-status.BirthRegistered"
INSURANCE, RESIDENCE = "vss.child-health-insurance@3", "mps.birth-residence@3"
CHILD, MOTHER = "001326000011", "001190000028"


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(packaged_nation(), pairwise_key_of=lambda _: KEY)


@pytest.fixture(scope="module")
def birth() -> AvroType:
    policy = load_nation().policy
    return next(c.avro for name, c in policy.contracts.items() if name == BIRTH)


def registered(**changes: Any) -> dict[str, Any]:
    child = {
        "pin": CHILD, "date_of_birth": date(2026, 2, 28), "full_name": "Phạm Thị An",
        "sex": "female", "place_of_birth": "Bạch Mai", "birth_commune_code": None,
        "native_place": None, "ethnicity": "Kinh", "nationality": "VN",
    }  # fmt: skip
    mother = {
        "pin": MOTHER, "date_of_birth": date(1990, 1, 1), "role": "mother",
        "full_name": "Lê Thị Bình", "ethnicity": None, "nationality": "VN",
    }  # fmt: skip
    datum = {
        "child": child, "parents": [mother], "registration_kind": "on-time",
        "registration_number": "7/2026", "registry_commune_code": "00001",
        "registered_at": datetime(2026, 3, 2, 1, tzinfo=UTC),
    }  # fmt: skip
    return datum | changes


def text(value: str) -> bytes:
    """A short Avro string."""
    return bytes([2 * len(value.encode())]) + value.encode()


def test_the_delivery_is_as_worked_out_by_hand_when_a_birth_goes_to_insurance(
    oracle: Oracle, birth: AvroType
) -> None:
    body = oracle.expected(
        agreement=INSURANCE,
        event_type=BIRTH,
        source_body=birth.encode(registered()),
        writer_schema=json.dumps(birth.document),
        on=date(2026, 3, 3),
    )
    mother = hmac.digest(KEY, b"vn-pin\x00" + MOTHER.encode(), hashlib.sha256)[:16].hex()
    day = (date(2026, 2, 28) - date(1970, 1, 1)).days * 2  # zig-zag
    days = bytes([day & 0x7F | 0x80, day >> 7 & 0x7F | 0x80, day >> 14])
    parents = b"\x02" + text(mother) + b"\x00"
    assert body == text(CHILD) + days + text("Phạm Thị An") + parents


@pytest.mark.parametrize(
    ("agreement", "on", "answer"),
    [
        (RESIDENCE, date(2025, 12, 31), False),
        (RESIDENCE, date(2026, 1, 1), True),
        (RESIDENCE, date(2034, 12, 31), True),
        (RESIDENCE, date(2035, 1, 1), False),
        (INSURANCE, date(2026, 2, 27), False),  # the child's age counts from its birth
        (INSURANCE, date(2026, 2, 28), True),
    ],
)
def test_release_ends_with_the_agreements_days_when_a_birth_is_judged(
    oracle: Oracle, birth: AvroType, agreement: str, on: date, *, answer: bool
) -> None:
    body = birth.encode(registered())
    assert answer is oracle.may_be_released(
        agreement=agreement, event_type=BIRTH, source_body=body, on=on
    )


@pytest.mark.parametrize(
    ("born", "answer"),
    [
        (date(2020, 6, 2), True),
        (date(2020, 6, 1), False),
        (date(2026, 6, 1), True),
        (date(2026, 6, 2), False),
    ],
)
def test_a_child_is_under_six_until_the_birthday_when_age_is_a_condition(
    oracle: Oracle, birth: AvroType, born: date, answer: bool
) -> None:
    child = registered()["child"] | {"date_of_birth": born}
    body = birth.encode(registered(child=child))
    on = date(2026, 6, 1)
    assert answer is oracle.may_be_released(
        agreement=INSURANCE, event_type=BIRTH, source_body=body, on=on
    )


def test_nothing_is_released_when_the_agreement_does_not_name_the_event(
    oracle: Oracle, birth: AvroType
) -> None:
    body = birth.encode(registered())
    assert not oracle.may_be_released(
        agreement="vss.funeral-allowance@2", event_type=BIRTH, source_body=body, on=date(2026, 6, 1)
    )


def test_bytes_are_refused_when_something_follows_the_event(
    oracle: Oracle, birth: AvroType
) -> None:
    with pytest.raises(ValueError, match="left over"):
        oracle.expected(
            agreement=INSURANCE,
            event_type=BIRTH,
            source_body=birth.encode(registered()) + b"\x00",
            writer_schema=json.dumps(birth.document),
            on=date(2026, 3, 3),
        )


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("child.full_name, ", ""), ("pairwise-pseudonym", "as-is"), ("child.pin", "child.sex")],
)
def test_the_oracle_disagrees_when_the_agreement_file_says_something_else(
    tmp_path: Path, oracle: Oracle, birth: AvroType, was: str, becomes: str
) -> None:
    nation = tmp_path / "nation"
    shutil.copytree(packaged_nation(), nation)
    file = nation / "agreements" / "vss.child-health-insurance.yaml"
    file.write_text(file.read_text("utf-8").replace(was, becomes, 1), "utf-8")
    other = Oracle(nation, pairwise_key_of=lambda _: KEY)
    question: dict[str, Any] = {
        "agreement": INSURANCE, "event_type": BIRTH,
        "source_body": birth.encode(registered()), "writer_schema": json.dumps(birth.document),
        "on": date(2026, 3, 3),
    }  # fmt: skip
    assert other.expected(**question) != oracle.expected(**question)


def test_the_oracle_shares_nothing_with_the_product_when_it_is_imported() -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    names = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "."] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert {name.partition(".")[0] for name in names} == {
        "__future__", "avro", "collections", "copy", "datetime", "functools", "hmac", "io", "json",
        "pathlib", "typing", "yaml",
    }  # fmt: skip
