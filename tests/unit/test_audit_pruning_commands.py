"""Pruning as its user sees it: what the commands say of a ledger in a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.cli import app
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.evidence.export import Source, export
from civicbus_audit.ledger import Ledger
from civicbus_audit.restoring import repair_tiles
from civicbus_audit.standalone import verify as alone
from typer.testing import CliRunner

from tests.fakes.pages import AT
from tests.unit.completeness_samples import LOG, ORIGIN, person
from tests.unit.evidence_samples import EXPORTER, KEY, POLICY, request
from tests.unit.pruning_samples import grown

GROWN = grown()
FIRST = GROWN.commits[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose ledger has a leaf that prunes the first bundle."""
    home, growing = tmp_path_factory.mktemp("home"), GROWN.copy()
    growing.prune(FIRST)
    growing.commit()
    (home / "keys").mkdir()
    (home / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        for start in range(0, len(growing.leaves), 200):
            leaves = growing.leaves[start : start + 200]
            ledger.append(leaves, [b"sealed"] * len(leaves), position=start)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def run(home: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json", "--home", str(home)])
    assert result.exit_code == code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_commands_say_from_where_they_hold_when_the_ledger_was_pruned(home: Path) -> None:
    assert "pruned" not in run(home, "verify")
    pruned = run(home, "prune")
    assert (pruned["minimum"], pruned["first"], pruned["deleted"]) == (256, FIRST, 2)
    assert run(home, "prune")["deleted"] == 0
    assert run(home, "verify")["pruned"]["first"] == FIRST
    assert run(home, "fences")["first"] == FIRST
    told = run(home, "prove-complete", "--subject", person(7), "-o", str(home / "p"))
    assert told["first"] == FIRST
    assert "pruned" in run(home, "prove", "3", code=2)["message"]


def test_a_lost_state_is_made_anew_from_what_is_kept_when_the_first_page_is_named(
    home: Path,
) -> None:
    run(home, "prune")
    (home / "ledger/state.json").unlink()
    assert "--position" in run(home, "rebuild-state", code=2)["message"]
    assert run(home, "rebuild-state", "--position", "9")["position"] == 9


def test_hash_tiles_of_what_is_kept_are_made_anew_when_the_ledger_was_pruned(home: Path) -> None:
    run(home, "prune")
    for tile in ("001", "002"):
        (home / f"ledger/tile/0/{tile}").write_bytes(bytes(8192))
    before = {*LedgerDirectory(home / "ledger").tile_paths()}
    repaired = repair_tiles(home / "ledger", trust=LOG.verifier)
    assert {"tile/0/001", "tile/0/002"} == {*repaired}
    assert {*LedgerDirectory(home / "ledger").tile_paths()} == before
    assert run(home, "verify")["holds"]


def test_nothing_is_deleted_when_the_ledger_does_not_hold_or_no_leaf_says_so(home: Path) -> None:
    tile = home / "ledger/tile/entries/001"
    tile.write_bytes(tile.read_bytes().replace(b"enrol", b"ENROL", 1))
    run(home, "prune", code=1)
    assert (home / "ledger/tile/entries/000").exists()


def test_a_bundle_says_from_where_it_was_read_when_the_ledger_was_pruned(home: Path) -> None:
    run(home, "prune")
    source = Source(directory=LedgerDirectory(home / "ledger"), trust=LOG.verifier)
    folder, asked = home / "bundle", request(subject=person(7))
    done = export(
        asked, source, folder, signer=EXPORTER, at=AT, before_reading=lambda _request: None
    )
    told = alone.verify_bundle(folder, POLICY, KEY)["completeness"]
    assert (told["first_leaf"], told["kind"]) == (FIRST, "index-commits")
    assert told["leaves_read"] == done.checkpoint.size - FIRST
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["completeness"] |= {"first_leaf": 0, "leaves_read": done.checkpoint.size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    (folder / "manifest.sig").write_bytes(EXPORTER.sign(f"civicbus evidence v1\n{digest}\n"))
    with pytest.raises(alone.Broken, match="begins at another leaf"):
        alone.verify_bundle(folder, POLICY, KEY)
