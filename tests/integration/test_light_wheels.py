"""What an agency installs: three light wheels that work without our source tree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("schemas", "producers", "consumers")

ALLOWED = {
    "schemas": {"fastavro"},
    "producers": {"civicbus-schemas", "confluent-kafka", "opentelemetry-api"},
    "consumers": {"civicbus-schemas", "civicbus-producers"},
}
HEAVY = {
    "aiokafka", "alembic", "civicbus_audit", "faust", "mode", "prometheus_client", "psycopg",
    "pydantic", "sqlalchemy", "starlette", "structlog", "uvicorn", "yaml",
}  # fmt: skip

INSTALLED = """
import json, sys
from civicbus_producers.publisher import Publisher
from civicbus_consumers.subscription import Subscription
from civicbus_schemas.vietnam.events import EVENT_CLASSES
ours = [m for n, m in sys.modules.items() if n.partition(".")[0].startswith("civicbus_")]
print(json.dumps({
    "files": [m.__file__ for m in ours if m.__file__],
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
    "events": sorted(EVENT_CLASSES),
}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each light member, built offline with the locked build backend."""
    out = tmp_path_factory.mktemp("wheels")
    for member in MEMBERS:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out,
             ROOT / member],
            check=True,
            capture_output=True,
            timeout=120,
        )  # fmt: skip
    return {member: next(out.glob(f"civicbus_{member}-*.whl")) for member in MEMBERS}


@pytest.mark.parametrize("member", MEMBERS)
def test_wheel_requires_nothing_heavy_when_no_extra_is_asked_for(
    wheels: dict[str, Path], member: str
) -> None:
    with zipfile.ZipFile(wheels[member]) as wheel:
        (name,) = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(wheel.read(name).decode())
    required = {
        re.split(r"[\s\[<>=!;~]", line, maxsplit=1)[0]
        for line in metadata.get_all("Requires-Dist", [])
        if "extra ==" not in line
    }
    assert required == ALLOWED[member]


@pytest.mark.parametrize("member", MEMBERS)
def test_wheel_carries_its_package_and_nothing_else_when_built(
    wheels: dict[str, Path], member: str
) -> None:
    with zipfile.ZipFile(wheels[member]) as wheel:
        names = wheel.namelist()
    folders = {name.partition("/")[0] for name in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == {f"civicbus_{member}"}
    assert f"civicbus_{member}/py.typed" in names


def test_sdks_import_nothing_heavy_when_run_from_the_wheels_alone(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    path = ":".join([str(tmp_path), sysconfig.get_paths()["platlib"]])
    result = subprocess.run(  # -S: the source tree's .pth files are not read
        [sys.executable, "-S", "-c", INSTALLED],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={"PYTHONPATH": path},
    )
    found = json.loads(result.stdout)
    assert all(Path(file).is_relative_to(tmp_path) for file in found["files"])
    assert HEAVY.isdisjoint(found["loaded"])
    assert "civil-status.BirthRegistered" in found["events"]
