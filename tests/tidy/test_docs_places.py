"""What the documents point at is there: files, headings, modules, examples, dependencies."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import PurePosixPath

import pytest
import yaml

from tests.tidy import documents, rules
from tests.tidy.documents import DOCUMENTS, FILES
from tests.tidy.rules import PACKAGES, ROOT, Source

PATHS = {source.path for source in FILES}
FOLDERS = {str(folder) for path in PATHS for folder in PurePosixPath(path).parents}

NATION = "schemas/civicbus_schemas/vietnam"

# Made when it runs, in the state folder or beside the code: not in the repository.
MADE = (
    *("secrets/*", "keys/*", "agencies/*", "processes/*", "ledger/*", "logs/*", "run/*"),
    *("kafka/", "postgres/", "registry/", "zipkin/", "quarantine/*", "sealed/*", "tile/*"),
    *(
        "stack.json",
        "state.json",
        "manifest.json",
        "completeness.json",
        ".civicbus",
        ".venv/*",
        "bench-results/*",
    ),
    "flags/reference.json",
)
_FILE = re.compile(r"[\w.*@-]+(?:/[\w.*@-]+)*\.(?:py|md|yaml|avsc|lock|toml|cfg|json|hex)")
_FOLDER = re.compile(r"(?:[\w.*@-]+/)+[\w.*@-]*")


def named_places(source: Source) -> Iterator[str]:
    """Files and folders that a document names in `backticks`."""
    for span in documents.spans(source):
        is_place = _FILE.fullmatch(span) or _FOLDER.fullmatch(span)
        if is_place and not any(fnmatch(span, made) for made in MADE):
            yield span


def is_there(place: str, source: Source) -> bool:
    """Whether a place exists: from the root, from the document's folder, or by its last names."""
    member = PurePosixPath(source.path).parts[0]
    wanted = place.rstrip("/")
    known = PATHS | FOLDERS
    if member in PACKAGES:
        known = {p for p in known if p.startswith((f"{member}/", f"{NATION}/", "tests/"))}
    names = (wanted, f"*/{wanted}", f"*/{wanted}.py")  # a module may stand without its ending
    return any(fnmatch(path, name) for path in known for name in names)


@pytest.mark.parametrize("source", DOCUMENTS, ids=lambda s: s.path)
def test_every_place_is_there_when_a_document_names_it(source: Source) -> None:
    assert [place for place in named_places(source) if not is_there(place, source)] == []


@pytest.mark.parametrize("source", DOCUMENTS, ids=lambda s: s.path)
def test_every_link_leads_somewhere_when_a_document_has_it(source: Source) -> None:
    for path, anchor in documents.links(source):
        assert path in PATHS | FOLDERS
        assert not anchor or anchor in documents.anchors(documents.named(path))


@pytest.mark.parametrize("member", PACKAGES)
def test_every_module_is_there_when_a_readme_says_where_things_are(member: str) -> None:
    stems = {PurePosixPath(path).stem for path in PATHS | FOLDERS if path.startswith(member)}
    source = documents.named(f"{member}/README.md")
    for paragraph in re.split(r"\n\s*\n", source.text):
        if paragraph.startswith("**Where things are**"):
            words = set(re.findall(r"`(\w+)/?`", paragraph))
            assert sorted(words - stems) == []


def test_every_invariant_has_its_file_when_the_readme_lists_them() -> None:
    table = documents.section(documents.named("README.md"), "Six invariants")
    named = re.findall(r"tests/invariants/(test_i\d\w+\.py)", table)
    here = sorted(path.name for path in (ROOT / "tests/invariants").glob("test_i*.py"))
    assert named == here
    assert len(named) == 6


# --- examples --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", DOCUMENTS, ids=lambda s: s.path)
def test_examples_can_be_read_when_a_document_shows_them(source: Source) -> None:
    for block in documents.blocks(source):
        match block.language:
            case "python":
                compile(block.text, source.path, "exec")
            case "json":
                json.loads(block.text)
            case "yaml":
                yaml.safe_load(block.text)
            case _:
                assert block.language in {"sh", "text"}, "say what it is"


def test_examples_are_those_that_tests_run_when_the_readme_shows_them() -> None:
    """`tests/unit/test_sdk_documents.py` runs the first example of each SDK's README."""
    shown = [
        b.text for b in documents.blocks(documents.named("README.md")) if b.language == "python"
    ]
    run = [
        next(b.text for b in documents.blocks(documents.named(path)) if b.language == "python")
        for path in ("producers/README.md", "consumers/README.md")
    ]
    assert shown == run


# --- dependencies ----------------------------------------------------------------------------

# Comes with a declared dependency, as whose part it is used: its errors, its base classes.
COMES_WITH = {
    "httpx2": "confluent-kafka[schemaregistry]",
    "protobuf": "opentelemetry-proto",
    "pydantic": "pydantic-settings",
    "requests": "jgo",
}


def dependencies(member: str) -> set[str]:
    """What a member declares, extras included, by name."""
    project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    return {re.split(r"[\[<>=~! ]", line, maxsplit=1)[0] for lines in lists for line in lines}


def inherited(member: str) -> set[str]:
    """What a member declares, and what the members that it stands on declare."""
    own = dependencies(member)
    below = {name.removeprefix("civicbus-") for name in own} & set(PACKAGES)
    return own.union(*(inherited(name) for name in below))


@pytest.mark.parametrize("member", PACKAGES)
def test_every_dependency_has_its_reason_when_the_readme_is_read(member: str) -> None:
    told = documents.section(documents.named(f"{member}/README.md"), "Dependencies")
    assert sorted(n for n in dependencies(member) if f"`{n}`" not in told) == []


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """Who provides each module that can be imported here."""
    return packages_distributions()


@pytest.mark.parametrize("member", PACKAGES)
def test_every_import_is_declared_when_the_code_is_read(
    member: str, distributions: Mapping[str, list[str]]
) -> None:
    declared = inherited(member) | {f"civicbus-{member}"} | COMES_WITH.keys()
    undeclared = {
        f"{name} in {source.path}"
        for source in FILES
        if rules.is_package_code(source) and source.path.startswith(f"{member}/")
        for name in rules.third_party(source)
        if name in distributions
        and declared.isdisjoint(owner.lower().replace("_", "-") for owner in distributions[name])
    }
    assert undeclared == set()
