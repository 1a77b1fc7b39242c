"""What is measured: births that go to three recipients, in the packaged nation and in a lean one.

`packaged` is the nation as it is: a birth concerns child and mother, three agencies get it and a
fourth agreement is refused, which makes seven records. `lean` grants only what is about the child
and drops the expired agreement: three recipients, three records, as the targets were set.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_deploy.demo.oracle import Oracle
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation
from civicbus_schemas.agreement import local_day
from civicbus_schemas.codec import frame
from civicbus_schemas.contract import Contract
from civicbus_schemas.envelope import Envelope, Headers
from civicbus_schemas.ids import EventId, EventType
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import GROUPS

from tests.benchmarks.checks import Expectation
from tests.lives import birth, child_pin

BIRTH = EventType("civil-status.BirthRegistered")
SOURCE = "src.moj.civil-status.v1"
DELIVERIES = tuple(f"dlv.{agency}.civil-status.v1" for agency in ("vss", "mps", "npd", "moh"))
RECIPIENTS = 3
NATIONS = ("packaged", "lean")
_GRANTS = {
    "vss.child-health-insurance": ["child.pin", "child.full_name", "child.date_of_birth"],
    "mps.birth-residence": ["child.pin", "child.full_name", "child.date_of_birth", "child.sex",
                            "child.nationality", "registration_number", "registered_at"],
    "npd.civil-status": ["child.pin", "child.full_name", "child.date_of_birth", "child.sex",
                         "child.place_of_birth", "child.native_place", "child.nationality",
                         "child.ethnicity", "registered_at"],
}  # fmt: skip
_NEXT_VERSION = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One event as it is put on the source topic."""

    id: EventId
    partition: int
    key: bytes
    body: bytes
    headers: Headers

    def value(self, schema_id: int) -> bytes:
        """The message's value."""
        return frame(schema_id, self.body)


def nation_folder(name: str, *, below: Path) -> Path:
    """The folder of a nation to be measured; `lean` is derived from the packaged one."""
    if name == "packaged":
        return packaged_nation()
    folder = below / "lean"
    shutil.copytree(packaged_nation(), folder, ignore=shutil.ignore_patterns("*.py*", "__py*"))
    for id_, fields in _GRANTS.items():
        path = folder / "agreements" / f"{id_}.yaml"
        document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        document["version"] += _NEXT_VERSION
        document["releases"][str(BIRTH)]["fields"] = fields
        path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    (folder / "agreements" / "moh.birth-statistics.yaml").unlink()
    return folder


def expectation(folder: Path, *, pairwise_key_of: Callable[[str], bytes]) -> Expectation:
    """What the oracle expects of today's births in the nation in this folder."""
    policy = load_nation(folder).policy
    return Expectation(
        oracle=Oracle(folder, pairwise_key_of=pairwise_key_of),
        event_type=BIRTH,
        agreements=[
            str(a.ref) for a in policy.agreements if a.provider == "moj" and BIRTH in a.releases
        ],
        writer_schema=json.dumps(policy.contracts[BIRTH].document),
        on=local_day(datetime.now(UTC)),
    )


def samples(contract: Contract, *, first: int, topic_key: bytes) -> Iterator[Sample]:
    """Births without end, from the n-th on; only those whose partition group 0 holds."""
    at = datetime.now(UTC)
    for n in range(first, 1_000_000):
        key = topic_pseudonym(topic_key, child_pin(n)).encode()
        partition = partition_of(key)
        if partition % GROUPS:
            continue
        id_ = EventId(f"bench-{n:06}")
        envelope = Envelope(id=id_, source="/agencies/moj", type=BIRTH, time=at)
        yield Sample(
            id=id_,
            partition=partition,
            key=key,
            body=contract.avro.encode(birth(n).to_datum()),
            headers=envelope.headers(),
        )
