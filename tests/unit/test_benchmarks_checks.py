"""A benchmark that cannot fail proves nothing: each check is shown to catch what it is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.enforcement.states import States
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation
from civicbus_schemas.codec import unframe
from civicbus_schemas.page import Page
from civicbus_schemas.record import Record
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.benchmarks import evidence, pure, verifying, workload
from tests.benchmarks.checks import (
    Expectation,
    Given,
    WrongAnswer,
    check_copies,
    check_deliveries,
    read_pages,
)
from tests.benchmarks.clocks import Clocks, Series, percentile, ratio
from tests.benchmarks.report import table

EVENTS = 6


@pytest.fixture(scope="module")
def round_of_six() -> tuple[list[workload.Sample], pure.Kept]:
    nation = load_nation()
    contract = nation.policy.contracts[workload.BIRTH]
    samples = list(islice(workload.samples(contract, first=0, topic_key=pure.TOPIC_KEY), EVENTS))
    return samples, pure.run_once(nation, samples)


def test_states_that_stand_in_have_all_that_the_real_ones_have() -> None:
    real = {name for name in dir(States) if not name.startswith("_")}
    calm = {name for name in dir(pure.CalmStates) if not name.startswith("_")}
    assert real - calm <= set(pure.CalmStates.__dataclass_fields__)


@pytest.fixture(scope="module")
def expectation() -> Expectation:
    return workload.expectation(packaged_nation(), pairwise_key_of=lambda _: pure.PAIRWISE.key)


@pytest.fixture
def books(
    round_of_six: tuple[list[workload.Sample], pure.Kept],
) -> tuple[dict[str, bytes], list[Given], dict[str, Record]]:
    """What was published, delivered and recorded, to be spoilt."""
    samples, kept = round_of_six
    given = [
        Given(record=dict(out.headers)["ce_recordid"].decode(), body=unframe(out.value)[1])
        for out in kept.produced
    ]
    records = read_pages(map(Page.decode, kept.bodies), signer=pure.SIGNER.public_key())
    return {sample.id: sample.body for sample in samples}, given, records


def changed(given: list[Given]) -> list[Given]:
    return [replace(given[0], body=given[0].body[:-1] + b"\x7f"), *given[1:]]


def swapped(given: list[Given]) -> list[Given]:
    first, second = given[:2]
    return [replace(first, record=second.record), replace(second, record=first.record), *given[2:]]


def unrecorded(given: list[Given]) -> list[Given]:
    return [*given, Given(record="0" * 32, body=given[0].body)]


SPOILT: dict[str, Callable[[list[Given]], list[Given]]] = {
    "bytes differ": changed,
    "bytes differ from the oracle's": swapped,
    "is missing": lambda given: given[1:],
    "delivered twice": lambda given: [*given, given[-1]],
    "on no page": unrecorded,
}


def test_a_round_passes_when_everything_was_right(
    books: tuple[dict[str, bytes], list[Given], dict[str, Record]], expectation: Expectation
) -> None:
    published, given, records = books
    right = check_deliveries(published, given, records=records, expectation=expectation)
    assert right == EVENTS * workload.RECIPIENTS


@pytest.mark.parametrize("complaint", SPOILT)
def test_a_round_fails_when_a_delivery_is_wrong(
    books: tuple[dict[str, bytes], list[Given], dict[str, Record]],
    expectation: Expectation,
    complaint: str,
) -> None:
    published, given, records = books
    spoilt = SPOILT[complaint](given)
    with pytest.raises(WrongAnswer, match=complaint):
        check_deliveries(published, spoilt, records=records, expectation=expectation)


def test_a_round_fails_when_a_denial_is_not_recorded(
    books: tuple[dict[str, bytes], list[Given], dict[str, Record]], expectation: Expectation
) -> None:
    published, given, records = books
    without = {id_: r for id_, r in records.items() if r.decision != "deny"}
    with pytest.raises(WrongAnswer, match="does not say what was"):
        check_deliveries(published, given, records=without, expectation=expectation)


def test_a_page_fails_when_a_record_was_taken_out(
    round_of_six: tuple[list[workload.Sample], pure.Kept],
) -> None:
    page = Page.decode(round_of_six[1].bodies[0])
    shorter = replace(page, records=page.records[1:], sealed=page.sealed[1:])
    with pytest.raises(WrongAnswer, match="counts its records"):
        read_pages([shorter], signer=None)


def test_a_page_fails_when_a_record_was_exchanged(
    round_of_six: tuple[list[workload.Sample], pure.Kept],
) -> None:
    page = Page.decode(round_of_six[1].bodies[0])
    other = replace(page, records=(page.records[1], page.records[0], *page.records[2:]))
    with pytest.raises(WrongAnswer, match="root"):
        read_pages([other], signer=None)


def test_a_page_fails_when_another_key_signed_it(
    round_of_six: tuple[list[workload.Sample], pure.Kept],
) -> None:
    page = Page.decode(round_of_six[1].bodies[0])
    with pytest.raises(WrongAnswer, match="signature"):
        read_pages([page], signer=Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize("copied", [[b"a"], [b"a", b"b", b"b"], [b"a", b"c"]])
def test_the_bare_loop_fails_when_it_lost_doubled_or_changed_something(copied: list[bytes]) -> None:
    check_copies([b"a", b"b"], {"t": [b"b", b"a"]})
    with pytest.raises(WrongAnswer, match="t does not hold"):
        check_copies([b"a", b"b"], {"t": copied})


def test_the_lean_nation_makes_one_record_a_recipient_when_a_birth_is_released(
    tmp_path: Path,
) -> None:
    folder = workload.nation_folder("lean", below=tmp_path)
    nation = load_nation(folder)
    contract = nation.policy.contracts[workload.BIRTH]
    samples = list(islice(workload.samples(contract, first=0, topic_key=pure.TOPIC_KEY), EVENTS))
    kept = pure.run_once(nation, samples)
    pure.check(samples, kept, folder=folder)
    assert sum(len(Page.decode(body).records) for body in kept.bodies) == EVENTS * 3


def test_ratios_and_percentiles_are_those_of_the_rounds_when_they_are_told() -> None:
    begun, ended = Clocks(1.0, 10.0), Clocks(3.0, 14.0)
    series = Series("x", [ended.since(begun, events=1000)])
    assert series.cpu_us() == [2000]
    assert series.rates() == [250]
    assert ratio([4, 6, 8], [2, 2, 8]) == {"of_bests": 2, "of_medians": 3}
    assert percentile(range(101), 99) == 99


def test_the_report_has_a_line_for_every_row_when_all_was_measured() -> None:
    rounds = [Clocks(1, 1).since(Clocks(0, 0), events=100)]
    paths = {"alone": rounds, "enforcement": rounds, "copy": rounds}
    machine = dict.fromkeys(
        ("at", "cpu", "cores", "memory_gib", "python", "commit", "changed_files", "load"), "?"
    )
    results: dict[str, Any] = {
        "machine": machine | {"load_after": "?", "stolen_percent": "?"},
        "release": {"lean": paths},
        "scale": {
            "agreements": {
                "us": {"few": [2.0, 2.0], "many": [2.0, 2.0]},
                "loading_s": {"few": 0.1, "many": 9.0},
                "agreements": {"few": 5, "many": 5000},
            },
            "consents": {
                "1000": {
                    "get_us": 9.0,
                    "slots_bytes": 12.0,
                    "resident_bytes": 13.0,
                    "loading_s": 1.0,
                },
            },
        },
        "lookups": {"http": {"ours": [2.0, 2.0], "bare": [1.0, 1.0]}},
        "memory": {"total_mib": 100},
    }
    results = json.loads(json.dumps(results))
    _, shown = table(results)
    assert list(shown.columns[0].cells) == ["1", "1", "16", "6", "5", "11", "11", ""]  # type: ignore[union-attr]
    assert "2.00" in list(shown.columns[5].cells)  # type: ignore[union-attr]


def test_bundles_are_made_and_verified_when_evidence_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evidence.main(["--records", "2000"]) == 0
    told = capsys.readouterr().out
    assert "bundle of one person" in told
    assert "The bundle holds: 2000 records" in told


def test_a_ledger_is_sealed_and_verified_when_verifying_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--leaves", "4000", "--an-hour", "1000", "--rounds", "1", "--out", str(tmp_path)]
    assert verifying.main(options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["leaves"] >= 4000
    assert len(told["leaves_a_second"]) == 3
