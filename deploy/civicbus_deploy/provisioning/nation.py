"""A nation's folder becomes one policy set, whole or not at all.

    agencies.yaml  purposes.yaml  rules/<name>.cedar
    contracts/<family>/<Name>.avsc  agreements/<id>.yaml
    retention.yaml    may be missing: then the ledger is kept for ever

What the set means is checked by `civicbus_schemas.policy`; here stand the files: their shapes,
their names, and where in them an error lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import rfc8785
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.contract import parse_contract
from civicbus_schemas.errors import Refused
from civicbus_schemas.nation import DEFAULT_NATION
from civicbus_schemas.policy import PolicySet, parse_policy_set

from civicbus_deploy.provisioning.documents import (
    Document,
    InvalidNation,
    read_json,
    read_text,
    read_yaml,
)
from civicbus_deploy.provisioning.review import review
from civicbus_deploy.provisioning.vocabularies import Agencies, Purposes, Retention, shaped

MAX_POLICY_BYTES = 1_000_000  # one message on state.policy.v1


@dataclass(frozen=True, slots=True, kw_only=True)
class Nation:
    """A reviewed nation, in which every agreement is a draft: as a set, and as plain JSON."""

    policy: PolicySet
    document: Mapping[str, Any]


def packaged_nation(name: str = DEFAULT_NATION) -> Path:
    """The folder of a nation that comes with the product."""
    return Path(str(files("civicbus_schemas"))) / name


def find_nation(chosen: Path | str | None) -> Path:
    """The folder that is meant: none for the default, a packaged nation's name, or a path."""
    name = str(chosen or DEFAULT_NATION)
    folder = packaged_nation(name) if name.isidentifier() else Path(name)
    if not (folder / "agencies.yaml").is_file():
        raise InvalidNation(
            "there is no such nation",
            got=ascii(name),
            expected="a folder with agencies.yaml, or the name of a packaged nation",
            next_step="write a folder of the same name as ./name",
        )
    return folder.resolve()


def load_nation(chosen: Path | str | None = None) -> Nation:
    """The nation in this folder, or the packaged one of this name.

    Raises `InvalidNation`, which names file, line, reason and next step.
    """
    root = find_nation(chosen)
    agencies = read_yaml(root / "agencies.yaml", root=root)
    purposes = read_yaml(root / "purposes.yaml", root=root)
    contracts = dict(_contracts(root))
    agreements = dict(_agreements(root))
    rules = {path.stem: read_text(path, root=root) for path in sorted(root.glob("rules/*.cedar"))}
    named = {"agencies.yaml": agencies, "purposes.yaml": purposes} | contracts | agreements
    named |= {document.file: document for document in rules.values()}
    retention = _retention(root)
    named |= {document.file: document for document in retention}
    plain = {
        "nation": root.name,
        **shaped(agencies, Agencies),
        **shaped(purposes, Purposes),
        **{key: value for d in retention for key, value in shaped(d, Retention).items()},
        "contracts": {name: document.content for name, document in contracts.items()},
        "agreements": [_plain(document.content) for document in agreements.values()],
        "statements": [],
        "rules": {name: document.text for name, document in rules.items()},
    }
    data = rfc8785.dumps(plain)
    with _placed(named):
        policy = parse_policy_set(data)
        review(policy)
    if len(data) > MAX_POLICY_BYTES:
        raise InvalidNation(
            "the policy set is too large for one message",
            got=f"{len(data)} bytes",
            expected=f"at most {MAX_POLICY_BYTES}",
        )
    return Nation(policy=policy, document=plain)


def _retention(root: Path) -> list[Document]:
    path = root / "retention.yaml"
    return [read_yaml(path, root=root)] if path.is_file() else []


def _contracts(root: Path) -> Iterator[tuple[str, Document]]:
    for path in sorted(root.glob("contracts/*/*.avsc")):
        document = read_json(path, root=root)
        with _placed({document.file: document}):
            contract = parse_contract(_mapping(document))
        family, name = contract.event_type.split(".")
        _named(document, path, [family, f"{name}.avsc"])
        yield contract.event_type, document


def _agreements(root: Path) -> Iterator[tuple[str, Document]]:
    for path in sorted(root.glob("agreements/*.yaml")):
        document = read_yaml(path, root=root)
        with _placed({document.file: document}):
            agreement = parse_agreement(_mapping(document), source=document.file)
        id_, version = agreement.ref.id, agreement.ref.version
        _named(document, path, ["agreements", f"{id_}.yaml"], f"{id_}@{version}.yaml")
        yield str(agreement.ref), document


def _mapping(document: Document) -> Mapping[str, Any]:
    if not isinstance(document.content, dict):
        raise InvalidNation(f"{document.file}:1: the file holds no mapping")
    return document.content


def _named(document: Document, path: Path, expected: list[str], *others: str) -> None:
    """A file is named after what it holds, so that a reviewer finds it and none stands twice."""
    folder, name = expected
    if path.parent.name != folder or path.name not in {name, *others}:
        raise InvalidNation(
            f"{document.file}: the file is not named after what it holds",
            expected=" or ".join("/".join([folder, n]) for n in [name, *others]),
        )


def _plain(value: Any) -> Any:
    """YAML's values as JSON has them: days become text."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case date():
            return value.isoformat()
    return value


@contextmanager
def _placed(documents: Mapping[str, Document]) -> Iterator[None]:
    """Say in which file and line an error lies; what breaks in parsing was a malformed document."""
    try:
        yield
    except InvalidNation:
        raise
    except Refused as error:
        document = _blamed(error.what, documents.items())
        place = document.near(error) if document else "the nation's folder"
        what = error.what.removeprefix(f"{document.file}: ") if document else error.what
        raise InvalidNation(
            f"{place}: {what}",
            got=error.got,
            expected=error.expected,
            next_step=error.next_step or "correct the file; nothing was changed",
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        place = ", ".join(documents) if len(documents) == 1 else "the nation's folder"
        raise InvalidNation(
            f"{place}: malformed", got=f"{type(error).__name__}: {error}"
        ) from error


def _blamed(what: str, documents: Iterable[tuple[str, Document]]) -> Document | None:
    """The document that an error's text names first; the only one if there is just one."""
    known = list(documents)
    found = [(what.find(name), document) for name, document in known if name in what]
    if found:
        return min(found, key=lambda pair: pair[0])[1]
    return known[0][1] if len(known) == 1 else None
