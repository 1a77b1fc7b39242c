"""Settings: where they come from, what refuses them, and that secrets stay out of sight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from civicbus_producers.settings import Connection, InvalidSettings, read_key, read_secret
from civicbus_schemas.errors import Forbidden

PASSWORD = "correct horse"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "agencies").mkdir()
    (tmp_path / "secrets").mkdir()
    secret(tmp_path / "secrets" / "kafka-moj", PASSWORD)
    secret(tmp_path / "secrets" / "topic-key", "ab" * 32)
    return tmp_path


def secret(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def written(home: Path, **changes: Any) -> Path:
    document = {
        "agency": "moj",
        "bootstrap": "127.0.0.1:9092",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "moj",
        "password_file": str(home / "secrets" / "kafka-moj"),
        "registry_url": "http://127.0.0.1:8081/apis/ccompat/v7",
        "topic_key_file": "../secrets/topic-key",
        "lookup_url": None,
        "token_key_file": None,
        "families_published": ["civil-status"],
        "delivery_topics": ["dlv.moj.criminal-record.v1"],
        "group_prefix": "moj.",
    } | changes
    kept = {key: value for key, value in document.items() if value != "absent"}
    path = home / "agencies" / "moj.json"
    path.write_text(json.dumps(kept))
    return path


def test_file_is_found_in_the_state_folder_when_only_home_is_set(home: Path) -> None:
    written(home)
    connection = Connection.load("moj", environment={"CIVICBUS_HOME": str(home)})
    assert connection.password() == PASSWORD
    assert connection.topic_key() == bytes.fromhex("ab" * 32)
    assert connection.families_published == ("civil-status",)


def test_named_file_wins_when_the_environment_names_one(home: Path, tmp_path: Path) -> None:
    elsewhere = written(home).rename(tmp_path / "elsewhere.json")
    written(home, username="another")
    environment = {"CIVICBUS_AGENCY_FILE": str(elsewhere), "CIVICBUS_HOME": str(home)}
    assert Connection.load("moj", environment=environment).username == "moj"


def test_file_of_another_agency_is_refused_when_loaded(home: Path) -> None:
    path = written(home, agency="vss")
    with pytest.raises(InvalidSettings, match="another agency"):
        Connection.load("moj", environment={"CIVICBUS_AGENCY_FILE": str(path)})


def test_next_step_is_named_when_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="CIVICBUS_HOME"):
        Connection.load("moj", environment={"CIVICBUS_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"bootstrap": "absent"}, "bootstrap"),
        ({"bootstrap": ""}, "bootstrap"),
        ({"username": 7}, "username"),
        ({"agency": "Moj!"}, "agency"),
        ({"passwort": "x"}, "passwort"),
        ({"families_published": "civil-status"}, "families_published"),
        ({"delivery_topics": [1]}, "delivery_topics"),
        ({"delivery_topics": ["src.moj.health.v1"]}, "delivery_topics"),
        ({"security_protocol": "PLAINTEXT"}, "security_protocol"),
        ({"sasl_mechanism": "PLAIN"}, "sasl_mechanism"),
        ({"registry_url": "ftp://127.0.0.1"}, "registry_url"),
        ({"password_file": None}, "password_file"),
    ],
)
def test_bad_key_is_named_when_settings_are_malformed(
    home: Path, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(InvalidSettings, match=key):
        Connection.read(written(home, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_file_is_refused_when_it_is_not_a_json_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "moj.json"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match="JSON"):
        Connection.read(path)


def test_plaintext_is_refused_when_the_broker_is_not_on_loopback(home: Path) -> None:
    with pytest.raises(InvalidSettings, match="in the clear"):
        Connection.read(written(home, bootstrap="127.0.0.1:9092,10.0.0.7:9092"))
    for bootstrap in ("localhost:1", "[::1]:9092"):
        Connection.read(written(home, bootstrap=bootstrap))
    Connection.read(written(home, bootstrap="10.0.0.7:9092", security_protocol="SASL_SSL"))


def test_secrets_are_not_shown_when_a_connection_is_printed(home: Path) -> None:
    connection = Connection.read(written(home))
    assert PASSWORD not in repr(connection)
    assert "abab" not in repr(connection)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_secret_is_refused_when_others_may_touch_its_file(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path / "s", PASSWORD, mode=mode)
    with pytest.raises(InvalidSettings, match="chmod 600") as refused:
        read_secret(path)
    assert PASSWORD not in str(refused.value)


def test_secret_is_read_at_each_use_when_it_was_renewed(home: Path) -> None:
    connection = Connection.read(written(home))
    secret(connection.password_file, "renewed")
    assert connection.password() == "renewed"


@pytest.mark.parametrize("text", ["", "  "])
def test_secret_is_refused_when_its_file_is_empty_or_missing(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSettings, match="empty"):
        read_secret(secret(tmp_path / "s", text))
    with pytest.raises(InvalidSettings, match="cannot be read"):
        read_secret(tmp_path / "missing")


@pytest.mark.parametrize("text", ["ab" * 31, "zz" * 32, "ab" * 33])
def test_key_is_refused_and_not_shown_when_it_is_not_32_bytes(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSettings, match="64 hexadecimal") as refused:
        read_key(secret(tmp_path / "k", text))
    assert text not in str(refused.value)


def test_topic_key_is_refused_when_the_agency_publishes_nothing(home: Path) -> None:
    with pytest.raises(InvalidSettings, match="publishes nothing"):
        Connection.read(written(home, topic_key_file=None)).topic_key()


def test_topics_are_forbidden_when_no_agreement_gives_them(home: Path) -> None:
    connection = Connection.read(written(home))
    assert connection.topics_of() == ["dlv.moj.criminal-record.v1"]
    with pytest.raises(Forbidden, match="health"):
        connection.topics_of(["criminal-record", "health"])
    with pytest.raises(Forbidden, match="any family"):
        Connection.read(written(home, delivery_topics=[])).topics_of()
