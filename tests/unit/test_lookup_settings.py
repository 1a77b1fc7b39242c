"""Settings and keys: what is missing or dangerous is named, and nothing is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.lookup.settings import LookupSettings, read_agency_keys
from civicbus_producers.settings import InvalidSettings


def _read(folder: Path, **changes: Any) -> LookupSettings:
    files = {
        f"{name}_file": str(folder / name)
        for name in (
            "password", "postgres_dsn", "agency_keys", "topic_key", "vault_key",
            "vault_dsn", "signing_key", "consent_dsn", "consent_key", "consent_agency",
            "policy_keys",
        )
    }  # fmt: skip
    document = files | {
        "name": "lookup",
        "environment": "development",
        "bootstrap": "127.0.0.1:9092",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "bus-lookup",
        "registry_url": "http://127.0.0.1:8080",
        "health_port": 8081,
        "host": "127.0.0.1",
        "port": 8082,
    }
    path = folder / "lookup.json"
    path.write_text(json.dumps(document | changes))
    return LookupSettings.read(path)


def test_settings_are_read_when_the_stack_wrote_them(tmp_path: Path) -> None:
    settings = _read(tmp_path)
    assert (settings.host, settings.port, settings.answer_timeout_s) == ("127.0.0.1", 8082, 4.0)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "example.org"])  # noqa: S104
def test_settings_are_refused_when_answers_would_cross_a_network_in_clear(
    tmp_path: Path, host: str
) -> None:
    with pytest.raises(InvalidSettings):
        _read(tmp_path, host=host)


def test_settings_are_refused_when_a_key_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="debug"):
        _read(tmp_path, debug=True)


def test_keys_are_read_when_each_is_an_agencys(tmp_path: Path) -> None:
    path = tmp_path / "agencies.json"
    path.write_text(json.dumps({"vss": "ab" * 32}))
    assert read_agency_keys(path) == {"vss": bytes.fromhex("ab" * 32)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"vss": 7}', '{"vss": "ab"}', '{"vss": "zz"}', '{"V S S": "ab"}'],
)
def test_keys_are_refused_when_one_is_malformed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agencies.json"
    path.write_text(text)
    with pytest.raises(InvalidSettings):
        read_agency_keys(path)
    with pytest.raises(InvalidSettings):
        read_agency_keys(tmp_path / "absent.json")
