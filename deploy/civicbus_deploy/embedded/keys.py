"""The keys of the bus: made once in H/secrets, their public halves published in H/keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from civicbus_audit.note import Verifier
from civicbus_schemas.page import key_id
from civicbus_schemas.topics import GROUPS, enforcement_group
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from civicbus_deploy.embedded import secrets, witnesses
from civicbus_deploy.embedded.failures import StateUnreadable
from civicbus_deploy.embedded.state import StateFolder, write_file, write_json

ORIGIN = "civicbus.local/audit"
REGISTRAR = "vneid"  # the agency that keeps the consent registry
RECORDERS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in map(enforcement_group, range(GROUPS))},
    "lookup": ("lookup", "lookup-consents"),  # the consent registry has a chain of its own there
    "officers": ("officers", "officers-orders"),  # so have orders to unseal
    **{name: (name,) for name in ("flags", "provisioning", "oversight")},
}
"""Who signs pages, each with `sign-<name>.pem`, and the names of processes that it may use."""
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
    write_json(recorder_keys_file(folder), dict(_recorder_keys(folder)))
    write_file(ledger_vkey_file(folder), f"{log_vkey(folder)}\n".encode())
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
    """Key id → public key in hex, and the names of processes that it may write pages under."""
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


def log_vkey(folder: StateFolder) -> Verifier:
    """The same, from the log's own key."""
    return Verifier(name=ORIGIN, public_key=_public_key(folder.secrets / "log-key.pem"))


def _recorder_keys(folder: StateFolder) -> Iterator[tuple[str, dict[str, object]]]:
    for name, processes in RECORDERS.items():
        public = _public_key(folder.secrets / f"sign-{name}.pem")
        yield key_id(public), {"public_key": public.hex(), "processes": [*processes]}


def _public_key(pem: Path) -> bytes:
    key = load_pem_private_key(pem.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise StateUnreadable(
            f"{pem} holds another kind of key", got=type(key).__name__, expected="Ed25519"
        )
    return key.public_key().public_bytes_raw()
