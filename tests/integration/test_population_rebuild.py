"""The view made anew from its deliveries is the same view, and shows one that was changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from civicbus_consumers.population.cli import app
from civicbus_consumers.population.rebuild import Rebuilt, rebuild
from sqlalchemy import text
from typer.testing import CliRunner

from tests.fakes.population import BIRTH, Sample, birth
from tests.integration.population_place import PopulationPlace, births
from tests.integration.test_population_view import FAMILY
from tests.stack import Stack

pytestmark = pytest.mark.broker


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[PopulationPlace]:
    made = PopulationPlace.create(stack, tmp_path)
    yield made
    made.close()


def _rebuilt(place: PopulationPlace, *, even_if_different: bool = False) -> Rebuilt:
    return rebuild(place.settings, even_if_different=even_if_different, progress=lambda *_: None)


def test_rebuild_has_the_same_hash_and_takes_its_place_when_the_worker_goes_on(
    place: PopulationPlace,
) -> None:
    foreign = Sample(type=BIRTH, datum=birth("001324012388"), source="hospital-bach-mai")
    with place.working():
        place.deliver(*FAMILY, foreign, *births(500))
        place.commit(*births(20))
        count = len(FAMILY) + 1 + 520
        place.wait_applied(count)
        watermark = place.person().watermark  # type: ignore[union-attr]
        made = _rebuilt(place)
        assert made.equal
        assert made.replaced
        assert made.copy_deliveries == made.view_deliveries == count
        assert place.hash() == made.view_hash
        place.deliver(Sample(type=BIRTH, datum=birth("001324012377")))
        place.wait_applied(count + 1)
    assert place.person("001324012377") is not None
    assert place.person().watermark > watermark  # type: ignore[union-attr]
    assert place.refusals() == ["not-the-owner"]
    assert place.query("select nspname from pg_namespace where nspname like 'population_%'") == []


def test_changed_view_is_found_and_healed_when_it_is_rebuilt(place: PopulationPlace) -> None:
    with place.working():
        place.deliver(*FAMILY)
        place.wait_applied(len(FAMILY))
    before = place.hash()
    with place.engine.begin() as connection:
        connection.execute(text("update person set full_name = 'X'"))
    made = _rebuilt(place)
    assert not made.equal
    assert not made.replaced
    assert place.hash() == made.view_hash != before
    healed = _rebuilt(place, even_if_different=True)
    assert healed.replaced
    assert place.hash() == healed.copy_hash == before


def test_commands_tell_status_and_hash_when_asked(place: PopulationPlace) -> None:
    with place.working():
        place.deliver(*FAMILY)
        place.wait_applied(len(FAMILY))
    processes = place.folder / "processes"
    processes.mkdir()
    place.settings_file.rename(processes / "population.json")
    here = ["--home", str(place.folder), "--json"]
    told = {
        verb: json.loads(CliRunner().invoke(app, [verb, *here], catch_exceptions=False).stdout)
        for verb in ("status", "hash", "rebuild")
    }
    assert told["status"]["persons"] == 3
    assert told["status"]["deliveries"] == len(FAMILY)
    assert told["hash"]["hash"] == told["rebuild"]["view_hash"] == told["rebuild"]["rebuilt_hash"]
