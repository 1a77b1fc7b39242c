"""What `civicbus env` prints: where everything is, by path and address, never a secret itself."""

from __future__ import annotations

from typing import Any

from civicbus_deploy.embedded import ground, kafka, keys, own, postgres, registry, witnesses
from civicbus_deploy.embedded.failures import NoStack, UnknownAgency
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.state import StateFolder, read_json


def environment(folder: StateFolder) -> dict[str, str]:
    """The stack's own connection; true also while the stack is down."""
    _require_state(folder)
    ports = ground.known_ports(folder)
    return {
        "bootstrap": f"{HOST}:{ports['kafka']}",
        "security_protocol": kafka.SECURITY_PROTOCOL,
        "sasl_mechanism": kafka.SASL_MECHANISM,
        "admin_user": kafka.ADMIN,
        "admin_secret_file": str(folder.secrets / "kafka-admin"),
        "registry_url": registry.url(ports["registry"]),
        "postgres_dsn_file": str(postgres.dsn_file(folder, "bus")),
        "ledger_dir": str(folder.ledger),
        "ledger_vkey_file": str(keys.ledger_vkey_file(folder)),
        "audit_policy_file": str(witnesses.policy_file(folder)),
        "lookup_url": f"http://{HOST}:{ports['lookup']}",
        "proofs_url": f"http://{HOST}:{ports[own.PROOFS]}",
        "mirror_token_file": str(folder.secrets / keys.MIRROR_TOKEN),
        "officers_url": f"http://{HOST}:{ports['officers']}",
        "zipkin_url": f"http://{HOST}:{ports['zipkin']}/zipkin/",
        "home": str(folder.home),
    }


def agency_environment(folder: StateFolder, agency: str) -> dict[str, Any]:
    """One agency's connection, as provisioning wrote it."""
    _require_state(folder)
    known = sorted(path.stem for path in folder.agencies.glob("*.json"))
    if agency not in known:
        raise UnknownAgency(
            "no such agency in this state folder",
            got=ascii(agency[:64]),
            expected=", ".join(known) or "agencies, once civicbus up has provisioned them",
            next_step="name one of these, or call civicbus up",
        )
    return read_json(folder.agencies / f"{agency}.json")


def _require_state(folder: StateFolder) -> None:
    if not folder.exists:
        raise NoStack(
            f"there is no stack in {folder.home}",
            expected="a state folder made by civicbus up",
            next_step="civicbus up, or name the folder with --home",
        )
