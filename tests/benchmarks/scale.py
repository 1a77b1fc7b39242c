"""What a decision costs when there is more of everything: other agreements, and consents.

Row 6: births are decided on under four agreements, beside a few others or thousands. Row 5: the
consents of one subject are found among a million and among ten millions.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785
from civicbus_consumers.access.decide import decide
from civicbus_consumers.access.plan import compile_plan
from civicbus_consumers.runtime.consents import ConsentStore
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.contract import values_at
from civicbus_schemas.decision import Facts
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.vocabulary import ConsentStatus

from tests.benchmarks import workload
from tests.benchmarks.checks import require

AT = datetime(2026, 11, 22, 5, tzinfo=UTC)
OTHER = "moh.death-statistics"
MANY = 5_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def with_others(folder: Path, others: int) -> PolicySet:
    """The nation with this many more recipients, each with an agreement on deaths."""
    document = dict(load_nation(folder).document)
    [pattern] = [a for a in document["agreements"] if a["agreement"] == OTHER]
    agency = document["agencies"][pattern["recipient"]]
    names = [f"office-{n}" for n in range(others)]
    document["agencies"] = document["agencies"] | dict.fromkeys(names, agency)
    document["agreements"] = [
        *document["agreements"],
        *(pattern | {"agreement": f"{n}.deaths", "recipient": n} for n in names),
    ]
    return parse_policy_set(rfc8785.dumps(document))


def measure_agreements(folder: Path, *, rounds: int, events: int) -> dict[str, Any]:
    """µs per decided birth beside no others and beside thousands; seconds of loading."""
    sets = {"few": with_others(folder, 0), "many": with_others(folder, MANY)}
    deciders, loading = {}, {}
    for name, policy in sets.items():
        begun = time.perf_counter()
        deciders[name] = _decider(policy)
        loading[name] = time.perf_counter() - begun
    require(deciders["few"]() == deciders["many"](), "others' agreements changed a decision")
    spent: dict[str, list[float]] = {name: [] for name in deciders}
    for number in range(rounds + 1):
        for name, ask in deciders.items():
            gc.collect()
            begun = time.process_time()
            for _ in range(events):
                ask()
            if number:  # the first warms up
                spent[name].append((time.process_time() - begun) / events * 1e6)
    counts = {name: len(policy.agreements) for name, policy in sets.items()}
    return {"us": spent, "loading_s": loading, "agreements": counts}


def _decider(policy: PolicySet) -> Callable[[], Any]:
    plan = compile_plan(policy, pairwise_key_of=lambda _: b"k" * 32)
    contract = policy.contracts[workload.BIRTH]
    planned = plan.find(AgencyId("moj"), workload.BIRTH)
    require(planned is not None, "births are planned")
    [sample] = [next(workload.samples(contract, first=1, topic_key=b"t" * 32))]
    opened = contract.avro.decode(sample.body)
    values = {path: tuple(values_at(opened, path)) for path in planned.decision_paths}  # type: ignore[union-attr]
    facts = Facts(
        provider=AgencyId("moj"),
        event_type=workload.BIRTH,
        contract=contract.fingerprint,
        values=values,
    )
    return lambda: decide(facts, plan, NO_CONSENTS, AT)


def measure_consents(sizes: list[int], *, lookups: int) -> dict[str, Any]:
    """Bytes of memory per subject and µs per look, for each number of subjects."""
    results: dict[str, Any] = {}
    for size in sizes:
        gc.collect()
        before, store = _resident(), ConsentStore()
        values = [frame(7, _consents(n).encode()) for n in range(16)]
        begun = time.perf_counter()
        for n in range(size):
            store.put(_key(n), values[n % 16])
        loading_s = time.perf_counter() - begun
        gc.collect()
        draw = random.Random(size)  # noqa: S311
        chosen = [draw.randrange(size) for _ in range(lookups)]
        keys = [_key(n) for n in chosen]
        for n, key in zip(chosen[:1000], keys, strict=False):
            require(store.get(key) == _consents(n % 16), "another subject's consents were found")
        begun = time.process_time()
        for key in keys:
            store.get(key)
        results[str(size)] = {
            "get_us": (time.process_time() - begun) / lookups * 1e6,
            "slots_bytes": store.memory_bytes / size,
            "resident_bytes": (_resident() - before) / size,
            "loading_s": loading_s,
        }
    return results


def _key(n: int) -> bytes:
    return b"%032x" % n


def _consents(n: int) -> SubjectConsents:
    """One consent of a bank to a card."""
    return SubjectConsents(
        (
            Consent(
                id=f"0190a8c2-0000-7000-8000-{n:012d}",
                version=1,
                recipient=AgencyId("bank"),
                purpose="account.update-customer",
                fields=frozenset({"identity.PinIssued:holder.pin", "identity.PinIssued:kind"}),
                status=ConsentStatus.GIVEN,
                since=AT,
            ),
        )
    )


def _resident() -> int:
    """Bytes of this process that are in memory and its own."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE_BYTES


def lines(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table's lines of rows 5 and 6."""
    few, many = (results["agreements"]["us"][name] for name in ("few", "many"))
    counts, loading = results["agreements"]["agreements"], results["agreements"]["loading_s"]
    told = [
        (
            "6",
            f"decision of a birth, {counts['many']} agreements / {counts['few']}: CPU"
            f" (loading {loading['many']:.1f} s / {loading['few']:.1f} s)",
            f"{min(many):.1f} | {statistics.median(many):.1f} µs",
            f"{min(few):.1f} | {statistics.median(few):.1f} µs",
            f"{min(many) / min(few):.2f}",
            f"{statistics.median(many) / statistics.median(few):.2f}",
            "≤ 1.1",
        )
    ]
    for size, found in results["consents"].items():
        what = f"consents of one among {int(size):,} subjects (loading {found['loading_s']:.0f} s)"
        memory = f"{found['slots_bytes']:.1f} B of slots, {found['resident_bytes']:.1f} B resident"
        told.append(("5", what, f"{found['get_us']:.1f} µs", memory, "", "", "≤ 16 B"))
    return told
