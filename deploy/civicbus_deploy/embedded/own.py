"""The bus's own processes: which there are, their settings files, their keys.

A settings file names secrets by path and never holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from civicbus_audit.note import Verifier
from civicbus_audit.vault import tables as vault
from civicbus_schemas.page import key_id
from civicbus_schemas.topics import GROUPS, consent_group, enforcement_group
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from civicbus_deploy.embedded import kafka, postgres, pseudonyms, registry, secrets, witnesses
from civicbus_deploy.embedded.artifacts import sha256_of
from civicbus_deploy.embedded.failures import StateUnreadable
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.state import StateFolder, write_file, write_json

ORIGIN = "civicbus.local/audit"
POPULATION_AGENCY = "npd"
REGISTRAR = "vneid"  # the agency that keeps the consent registry
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
RECORDERS = (*ENFORCEMENT, "lookup", "officers", "flags", "provisioning", "oversight")
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
MIRROR_TOKEN = "mirror-token"  # noqa: S105 (a file's name); whoever brings it may read leaves
UNREAD_TOKEN = "unread-token"  # noqa: S105 (a file's name); the officers' process brings it
INSPECTORS = "mps"  # whose officers and supervisors may ask the ledger
EXPORT_KEY = "export-key.pem"  # signs evidence bundles
_HEX_KEYS = ("topic-key", "vault-key", "consent-key")


def make_keys(folder: StateFolder) -> None:
    """Make every key of the bus that is missing, and publish the public halves in H/keys."""
    for name in _HEX_KEYS:
        secrets.get_or_create(folder.home, name, secrets.hex_key)
    for token in (MIRROR_TOKEN, UNREAD_TOKEN):
        secrets.get_or_create(folder.home, token, secrets.password)
    for name in ("log-key.pem", EXPORT_KEY, *(f"sign-{process}.pem" for process in RECORDERS)):
        secrets.get_or_create(folder.home, name, secrets.ed25519_pem)
    recorders = [_public_key(folder.secrets / f"sign-{process}.pem") for process in RECORDERS]
    write_json(recorder_keys_file(folder), {key_id(public): public.hex() for public in recorders})
    write_file(ledger_vkey_file(folder), f"{_log_vkey(folder)}\n".encode())
    exporter = Verifier(
        name=f"{ORIGIN}/exporter", public_key=_public_key(folder.secrets / EXPORT_KEY)
    )
    write_file(folder.keys / "exporter.vkey", f"{exporter}\n".encode())
    witnesses.make_keys(folder)


def publish_agency_keys(folder: StateFolder) -> None:
    """Publish the public halves of the agencies' token keys, which provisioning has made."""
    files = sorted(folder.secrets.glob("token-*.pem"))
    keys = {file.stem.removeprefix("token-"): _public_key(file).hex() for file in files}
    write_json(agency_keys_file(folder), keys)
    publish_issuers(folder, tuple(keys))


def publish_issuers(folder: StateFolder, agencies: tuple[str, ...]) -> None:
    """Make the keys of the officers' tokens that are missing; say who may vouch for which roles.

    They are other keys than those of look-ups: a system that looks up must not make an officer.
    """
    issuers = {}
    for agency in agencies:
        key = secrets.get_or_create(folder.home, f"officers-{agency}.pem", secrets.ed25519_pem)
        roles = ["agency-auditor"]
        roles += ["officer", "supervisor"] if agency == INSPECTORS else []
        roles += ["citizen"] if agency == REGISTRAR else []
        issuers[agency] = {"public_key": _public_key(key).hex(), "roles": roles}
    write_json(issuers_file(folder), issuers)


def recorder_keys_file(folder: StateFolder) -> Path:
    """Key id → public key of every process that writes pages, in hex."""
    return folder.keys / "recorders.json"


def agency_keys_file(folder: StateFolder) -> Path:
    """Agency → public key of its look-up tokens, in hex."""
    return folder.keys / "agencies.json"


def issuers_file(folder: StateFolder) -> Path:
    """Agency → public key of the officers' tokens that it issues, and the roles they may name."""
    return folder.keys / "issuers.json"


def policy_keys_file(folder: StateFolder) -> Path:
    """Who may announce a policy set, and whose signatures on agreements count."""
    return folder.keys / "policy.json"


def ledger_vkey_file(folder: StateFolder) -> Path:
    """The ledger's verifier key (C2SP signed-note)."""
    return folder.keys / "ledger.vkey"


def _log_vkey(folder: StateFolder) -> Verifier:
    return Verifier(name=ORIGIN, public_key=_public_key(folder.secrets / "log-key.pem"))


def _public_key(pem: Path) -> bytes:
    key = load_pem_private_key(pem.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise StateUnreadable(
            f"{pem} holds another kind of key", got=type(key).__name__, expected="Ed25519"
        )
    return key.public_key().public_bytes_raw()


def write_settings(folder: StateFolder, ports: Mapping[str, int]) -> tuple[ProcessSpec, ...]:
    """Write H/processes/*.json and the witnesses' policy; say how each own process is started."""
    witnesses.write_policy(folder, ports, log=_log_vkey(folder))
    return (
        *(_write_one(folder, ports, name) for name in ROOMS),
        _proofs(folder, ports[PROOFS]),
        *witnesses.specs(
            folder,
            ports,
            log_vkey=ledger_vkey_file(folder),
            source=_proofs_url(ports),
            token_file=folder.secrets / MIRROR_TOKEN,
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
            *("--token-file", str(folder.secrets / MIRROR_TOKEN)),
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
        "lookup": agency_keys_file(folder),
        "officers": issuers_file(folder),
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
    deciding = {**topic_key, **recording, "policy_keys_file": str(policy_keys_file(folder))}
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
                "origin": ORIGIN,
                "recorder_keys_file": str(recorder_keys_file(folder)),
                "witness_policy_file": str(witnesses.policy_file(folder)),
            }
        case "indexing":
            return {
                **dsn,
                "ledger_dir": str(folder.ledger),
                "ledger_vkey_file": str(ledger_vkey_file(folder)),
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
                "consent_agency_file": str(folder.agencies / f"{REGISTRAR}.json"),
                "host": HOST,
                "port": ports["lookup"],
                "agency_keys_file": str(agency_keys_file(folder)),
            }
        case "officers":
            return {**recording, **dsn, **_for_officers(folder, ports)}
        case "flags":
            return {**signing, **dsn, **_flagging(folder)}
        case "unread":
            token = {"token_file": str(folder.secrets / UNREAD_TOKEN)}
            return {**token, "host": HOST, "port": ports["unread"]}
        case _:
            raise AssertionError(room)


def _vault(folder: StateFolder) -> dict[str, str]:
    return {
        "vault_key_file": str(folder.secrets / "vault-key"),
        "vault_dsn_file": str(postgres.vault_dsn_file(folder, vault.RECORDER_ROLE)),
    }


def _flagging(folder: StateFolder) -> dict[str, str]:
    """Whose pages count, and what no record holds; the operator keeps that file, or none."""
    return {
        "recorder_keys_file": str(recorder_keys_file(folder)),
        "reference_file": str(folder.home / "flags" / "reference.json"),
    }


def _for_officers(folder: StateFolder, ports: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ledger_dir": str(folder.ledger),
        "ledger_vkey_file": str(ledger_vkey_file(folder)),
        "witness_policy_file": str(witnesses.policy_file(folder)),
        "issuers_file": str(issuers_file(folder)),
        "policy_sets_dir": str(folder.home / "policy" / "sets"),
        "unread_url": f"http://{HOST}:{ports['unread']}",
        "unread_token_file": str(folder.secrets / UNREAD_TOKEN),
        "export_key_file": str(folder.secrets / EXPORT_KEY),
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
