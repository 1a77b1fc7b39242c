"""How a system reaches the bus: one frozen value, read once from the agency's file.

Secrets stay in files of their own with mode 0600, are read when they are used, and are never held
here: a `Connection` may be printed. Nothing is guessed; a key that is missing or unknown refuses.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from civicbus_schemas.errors import Forbidden, InvalidIdentifier, Refused
from civicbus_schemas.ids import AgencyId, agency_id

AGENCY_FILE = "CIVICBUS_AGENCY_FILE"
HOME = "CIVICBUS_HOME"
DEFAULT_HOME = ".civicbus"
SASL_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256")
SECURITY_PROTOCOLS = ("SASL_PLAINTEXT", "SASL_SSL")


class InvalidSettings(Refused):
    """A setting or a secret's file is missing or malformed; the text names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An agency's connection: where the bus is, who the agency is there, what it may use.

    `group_prefix` begins the name of each of its consumer groups. Only agencies that publish have a
    `topic_key_file`; only those that make look-ups need `lookup_url` and `token_key_file`.
    """

    agency: AgencyId
    bootstrap: str
    security_protocol: str
    sasl_mechanism: str
    username: str
    password_file: Path
    registry_url: str
    group_prefix: str
    families_published: tuple[str, ...] = ()
    delivery_topics: tuple[str, ...] = ()
    topic_key_file: Path | None = None
    lookup_url: str | None = None
    token_key_file: Path | None = None

    def __post_init__(self) -> None:
        _require_one_of("security_protocol", self.security_protocol, SECURITY_PROTOCOLS)
        _require_one_of("sasl_mechanism", self.sasl_mechanism, SASL_MECHANISMS)
        require_private_path(self.bootstrap, security_protocol=self.security_protocol)
        if urlsplit(self.registry_url).scheme not in {"http", "https"}:
            raise InvalidSettings("malformed registry_url", expected="an http or https address")
        if not all(re.fullmatch(r"dlv\.[^.]+\.[^.]+\.v1", t) for t in self.delivery_topics):
            raise InvalidSettings("malformed delivery_topics", expected="dlv.<agency>.<family>.v1")

    @classmethod
    def load(cls, agency: str, *, environment: Mapping[str, str] = os.environ) -> Self:
        """The connection of this agency from the file that the environment names.

        `CIVICBUS_AGENCY_FILE` names the file itself; otherwise it is `agencies/<agency>.json` in
        `CIVICBUS_HOME` (default `.civicbus`). Raises `InvalidSettings`, also when the file is
        another agency's.
        """
        named = environment.get(AGENCY_FILE)
        home = Path(environment.get(HOME) or DEFAULT_HOME)
        connection = cls.read(Path(named) if named else home / "agencies" / f"{agency}.json")
        if connection.agency != agency:
            raise InvalidSettings(
                "the file belongs to another agency",
                got=connection.agency,
                expected=agency,
                next_step=f"set {AGENCY_FILE} or {HOME}",
            )
        return connection

    @classmethod
    def read(cls, path: Path) -> Self:
        """The connection in this file; relative paths in it start at its folder."""
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise InvalidSettings(
                "the agency file cannot be read",
                got=f"{path}: {error.strerror}",
                next_step=f"set {AGENCY_FILE}, or {HOME} to the state folder",
            ) from None
        except ValueError:
            raise InvalidSettings("the agency file is not JSON", got=path) from None
        return cls(**_checked(document, path))

    def password(self) -> str:
        """The SASL password, read from its file now."""
        return read_secret(self.password_file)

    def topic_key(self) -> bytes:
        """The key of topic pseudonyms, read from its file now; only publishers have one."""
        if self.topic_key_file is None:
            raise InvalidSettings(
                "this agency publishes nothing", got="no topic_key_file", next_step="provision it"
            )
        return read_key(self.topic_key_file)

    def topics_of(self, families: Iterable[str] | None = None) -> list[str]:
        """The delivery topics of some families, all by default; raises `Forbidden`."""
        by_family = {topic.split(".")[2]: topic for topic in self.delivery_topics}
        wanted = list(by_family) if families is None else list(families)
        unknown = [family for family in wanted if family not in by_family]
        if unknown or not wanted:
            raise Forbidden(
                f"{self.agency} gets no deliveries of {', '.join(unknown) or 'any family'}",
                expected=f"families among {', '.join(by_family) or 'none'}",
                next_step="an agreement must name this agency as recipient",
            )
        return [by_family[family] for family in wanted]


def _checked(document: Any, path: Path) -> dict[str, Any]:
    """The document's values by field, each converted; every error names its key."""
    if not isinstance(document, dict):
        raise InvalidSettings("the agency file is not one JSON object", got=path)
    known = {field.name: field for field in fields(Connection)}
    for key in sorted(document.keys() - known.keys()):
        raise InvalidSettings(f"unknown key {key[:64]!a} in {path}", expected=sorted(known))
    values = {key: _converted(key, value, path) for key, value in document.items()}
    for name, field in known.items():
        if field.default is MISSING and values.get(name) is None:
            raise InvalidSettings(f"{name} is missing in {path}", expected=f"{name}: a text")
    return values


def _converted(key: str, value: Any, path: Path) -> Any:
    match key, value:
        case "families_published" | "delivery_topics", list() if all(
            isinstance(item, str) for item in value
        ):
            return tuple(value)
        case "topic_key_file" | "lookup_url" | "token_key_file", None:
            return None
        case "agency", str():
            try:
                return agency_id(value)
            except InvalidIdentifier as error:
                raise InvalidSettings(f"malformed agency in {path}: {error}") from None
        case (("password_file" | "topic_key_file" | "token_key_file"), str()) if value:
            return path.parent / value
        case (("families_published" | "delivery_topics"), _):
            raise InvalidSettings(f"malformed {key} in {path}", expected="a list of texts")
        case _, str() if value:
            return value
    raise InvalidSettings(
        f"malformed {key} in {path}", got=type(value).__name__, expected="a text that is not empty"
    )


def _require_one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidSettings(
            f"unknown {key}", got=ascii(value[:32]), expected=" or ".join(allowed)
        )


def require_private_path(bootstrap: str, *, security_protocol: str) -> None:
    """Raise `InvalidSettings` where personal data would cross a network in the clear."""
    if security_protocol.endswith("_SSL"):
        return
    for server in bootstrap.split(","):
        host = server.strip().rpartition(":")[0].strip("[]")
        if not _is_loopback(host):
            raise InvalidSettings(
                f"{security_protocol} to {host[:64]!a} would send data in the clear",
                expected="loopback, or security_protocol SASL_SSL",
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_secret(path: Path) -> str:
    """The text of a secret's file without its line end.

    Raises `InvalidSettings` when it cannot be read, is empty, or when anyone but its owner may
    touch it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text"
        raise InvalidSettings("a secret's file cannot be read", got=f"{path}: {why}") from None
    if mode & 0o077:
        raise InvalidSettings(
            f"others may touch the secret in {path}",
            got=f"mode {mode:04o}",
            expected="mode 0600",
            next_step=f"chmod 600 {path}, and renew the secret if others had access",
        )
    if not secret:
        raise InvalidSettings("a secret's file is empty", got=path)
    return secret


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key's file, written as 64 hex characters; refuses as `read_secret`."""
    secret = read_secret(path)
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise InvalidSettings(
            f"the key in {path} is malformed",
            got=f"{len(secret)} characters",
            expected="64 hexadecimal characters",
        )
    return key
