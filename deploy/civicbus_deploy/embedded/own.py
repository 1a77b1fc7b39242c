"""The bus's own processes: which there are, and their settings files.

A settings file names secrets by path and never holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from civicbus_audit.vault import tables as vault
from civicbus_schemas.topics import GROUPS, consent_group, enforcement_group

from civicbus_deploy.embedded import kafka, keys, postgres, pseudonyms, registry, witnesses
from civicbus_deploy.embedded.artifacts import sha256_of
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.state import StateFolder, write_json

POPULATION_AGENCY = "npd"
ENFORCEMENT = tuple(enforcement_group(group) for group in range(GROUPS))
CONSENT = tuple(consent_group(group) for group in range(GROUPS))
ROOMS = {
    **dict.fromkeys(ENFORCEMENT, "enforcement"),
    **dict.fromkeys(CONSENT, "consent"),
    "sealing": "sealing",
    "indexing": "indexing",
    "population": "population",
    "lookup": "lookup",
    "officers": "officers",
    "flags": "flags",
    "unread": "unread",
}
PROOFS = "proofs"  # serves the ledger's files, and can read nothing else
PORTS = (
    "lookup",
    "officers",
    "unread",
    PROOFS,
    *witnesses.WITNESSES,
    *(f"{name}_health" for name in ROOMS),
)
PRINCIPALS = {  # at the broker; indexing has none
    "enforcement": "bus-enforce",
    "consent": "bus-consent",
    "sealing": "bus-sealing",
    "population": POPULATION_AGENCY,
    "lookup": "bus-lookup",
    "officers": "bus-officers",
    "flags": "bus-flags",
    "unread": "bus-unread",
}


def write_settings(folder: StateFolder, ports: Mapping[str, int]) -> tuple[ProcessSpec, ...]:
    """Write H/processes/*.json and the witnesses' policy; say how each own process is started."""
    witnesses.write_policy(folder, ports, log=keys.log_vkey(folder))
    return (
        *(_write_one(folder, ports, name) for name in ROOMS),
        _proofs(folder, ports[PROOFS]),
        *witnesses.specs(
            folder,
            ports,
            log_vkey=keys.ledger_vkey_file(folder),
            source=_proofs_url(ports),
            token_file=folder.secrets / keys.MIRROR_TOKEN,
        ),
    )


def _proofs_url(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports[PROOFS]}"


def _proofs(folder: StateFolder, port: int) -> ProcessSpec:
    """The server of proofs; it has options instead of settings."""
    return ProcessSpec(
        name=PROOFS,
        command=(
            *(sys.executable, "-P", "-m", "civicbus_audit", "serve", "--port", str(port)),
            *("--ledger", str(folder.ledger), "--policy", str(witnesses.policy_file(folder))),
            *("--token-file", str(folder.secrets / keys.MIRROR_TOKEN)),
        ),
        log=folder.log(PROOFS),
        cwd=folder.home,
        ready_url=f"http://{HOST}:{port}/readyz",
        fingerprint=sha256_of(witnesses.policy_file(folder)),
    )


def _write_one(folder: StateFolder, ports: Mapping[str, int], name: str) -> ProcessSpec:
    path = folder.processes / f"{name}.json"
    room = ROOMS[name]
    write_json(path, {**_shared(folder, ports, name), **_special(folder, ports, name)})
    return ProcessSpec(
        name=name,
        command=(
            *(sys.executable, "-P", "-m", f"civicbus_consumers.{room}"),
            *("--settings", str(path)),
        ),
        log=folder.log(name),
        cwd=folder.home,
        ready_url=f"http://{HOST}:{ports[f'{name}_health']}/readyz",
        fingerprint=_fingerprint(folder, path, room),
    )


def _fingerprint(folder: StateFolder, settings: Path, room: str) -> str:
    """Of all that a process reads once, at its start; another one means that it starts anew."""
    besides = {
        "enforcement": pseudonyms.keyring_file(folder),
        "sealing": witnesses.policy_file(folder),
        "indexing": witnesses.policy_file(folder),
        "lookup": keys.agency_keys_file(folder),
        "officers": keys.issuers_file(folder),
    }.get(room)
    if besides is None or not besides.exists():
        return sha256_of(settings)
    return sha256_of(settings) + sha256_of(besides)


def _shared(folder: StateFolder, ports: Mapping[str, int], name: str) -> dict[str, Any]:
    own = {
        "name": name,
        "environment": "development",
        "health_port": ports[f"{name}_health"],
    }
    principal = PRINCIPALS.get(ROOMS[name])
    if principal is None:
        return own
    return own | {
        "bootstrap": f"{HOST}:{ports['kafka']}",
        "security_protocol": kafka.SECURITY_PROTOCOL,
        "sasl_mechanism": kafka.SASL_MECHANISM,
        "username": principal,
        "password_file": str(folder.secrets / f"kafka-{principal}"),
        "registry_url": registry.url(ports["registry"]),
        "otlp_endpoint": f"http://{HOST}:{ports['otlp']}/v1/traces",
    }


def _special(folder: StateFolder, ports: Mapping[str, int], name: str) -> dict[str, Any]:
    """What only this room reads."""
    topic_key = {"topic_key_file": str(folder.secrets / "topic-key")}
    signing = {"signing_key_file": str(folder.secrets / f"sign-{name}.pem")}
    recording = {**_vault(folder), **signing}
    deciding = {**topic_key, **recording, "policy_keys_file": str(keys.policy_keys_file(folder))}
    room = ROOMS[name]
    dsn = {"postgres_dsn_file": str(postgres.dsn_file(folder, room))}
    match room:
        case "enforcement":
            return {
                "group": ENFORCEMENT.index(name),
                "groups": GROUPS,
                "uses_dsn_file": dsn["postgres_dsn_file"],
                "pairwise_keys_file": str(pseudonyms.keyring_file(folder)),
                **deciding,
            }
        case "consent":
            return {"group": CONSENT.index(name), "groups": GROUPS, **topic_key}
        case "sealing":
            return {
                **dsn,
                "ledger_dir": str(folder.ledger),
                "log_key_file": str(folder.secrets / "log-key.pem"),
                "origin": keys.ORIGIN,
                "recorder_keys_file": str(keys.recorder_keys_file(folder)),
                "witness_policy_file": str(witnesses.policy_file(folder)),
            }
        case "indexing":
            return {
                **dsn,
                "ledger_dir": str(folder.ledger),
                "ledger_vkey_file": str(keys.ledger_vkey_file(folder)),
                "witness_policy_file": str(witnesses.policy_file(folder)),
            }
        case "population":
            return {**dsn, "agency": POPULATION_AGENCY}
        case "lookup":
            return {
                **deciding,
                **dsn,
                "consent_dsn_file": str(postgres.dsn_file(folder, "consent")),
                "consent_key_file": str(folder.secrets / "consent-key"),
                "consent_agency_file": str(folder.agencies / f"{keys.REGISTRAR}.json"),
                "host": HOST,
                "port": ports["lookup"],
                "agency_keys_file": str(keys.agency_keys_file(folder)),
            }
        case "officers":
            return {**recording, **dsn, **_for_officers(folder, ports)}
        case "flags":
            return {**signing, **dsn, **_flagging(folder)}
        case "unread":
            token = {"token_file": str(folder.secrets / keys.UNREAD_TOKEN)}
            return {**token, "host": HOST, "port": ports["unread"]}
        case _:
            raise AssertionError(room)


def _vault(folder: StateFolder) -> dict[str, str]:
    return {
        "vault_key_file": str(folder.secrets / "vault-key"),
        "vault_dsn_file": str(postgres.vault_dsn_file(folder, vault.RECORDER_ROLE)),
    }


def _flagging(folder: StateFolder) -> dict[str, str]:
    """Whose pages count, and what no record holds; the operator keeps that file.

    It is made once, knowing nothing: should it vanish later, nobody takes that for its contents.
    """
    reference = folder.home / "flags" / "reference.json"
    begun = (folder.processes / "flags.json").exists()
    if not begun and not reference.exists():
        reference.parent.mkdir(exist_ok=True)
        write_json(reference, {})
    return {
        "recorder_keys_file": str(keys.recorder_keys_file(folder)),
        "reference_file": str(reference),
    }


def _for_officers(folder: StateFolder, ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ledger_dir": str(folder.ledger),
        "ledger_vkey_file": str(keys.ledger_vkey_file(folder)),
        "witness_policy_file": str(witnesses.policy_file(folder)),
        "issuers_file": str(keys.issuers_file(folder)),
        "policy_sets_dir": str(folder.home / "policy" / "sets"),
        "unread_url": f"http://{HOST}:{ports['unread']}",
        "unread_token_file": str(folder.secrets / keys.UNREAD_TOKEN),
        "export_key_file": str(folder.secrets / keys.EXPORT_KEY),
        "exports_dir": str(folder.home / "officers" / "exports"),
        "host": HOST,
        "port": ports["officers"],
    }


def plan_of(specs: tuple[ProcessSpec, ...]) -> dict[str, Any]:
    """The supervisor's plan as JSON."""
    return {"processes": [spec.to_json() for spec in specs]}


def specs_of(plan: Mapping[str, Any]) -> tuple[ProcessSpec, ...]:
    """The inverse of `plan_of`; an absent plan is empty."""
    return tuple(ProcessSpec.from_json(entry) for entry in plan.get("processes", []))
