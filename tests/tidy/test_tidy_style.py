"""The house keeps its own style: sizes, words and places, checked over every tracked file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.tidy import rules
from tests.tidy.rules import Source

Rule = Callable[[Source], Iterator[str]]

FILES = rules.tracked_files()
PACKAGE_CODE = tuple(filter(rules.is_package_code, FILES))
TEST_CODE = tuple(filter(rules.is_test_code, FILES))

# `path name` → why this one breach is right. Keep it short: an entry needs a reviewer's word.
ALLOWED = {
    "audit/civicbus_audit/standalone/verify.py": "one file that others copy and read by itself",
    "consumers/civicbus_consumers/access/decide.py decide": "the signature that the design draws",
    "consumers/civicbus_consumers/runtime/settings.py settings_customise_sources": (
        "pydantic-settings calls it with these parameters"
    ),
}

BROAD_EXCEPTS = {"tests/nursery.py": "the top of a process tells whatever ended it"}


def breaches(rule: Rule, sources: tuple[Source, ...]) -> list[str]:
    """What a rule finds, without what is allowed."""
    return [
        breach
        for source in sources
        for breach in rule(source)
        if not re.sub(r":\d+ ", " ", breach, count=1).startswith(tuple(ALLOWED))
    ]


@pytest.mark.parametrize("rule", [rules.long_modules, rules.long_functions, rules.long_lines])
def test_sizes_hold_when_all_code_is_measured(rule: Rule) -> None:
    assert breaches(rule, PACKAGE_CODE + TEST_CODE) == []


def test_few_parameters_are_positional_when_packages_are_read() -> None:
    assert breaches(rules.many_positionals, PACKAGE_CODE) == []


def test_every_public_name_says_what_it_is_when_packages_are_read() -> None:
    assert breaches(rules.undocumented, PACKAGE_CODE) == []


def test_no_broad_except_is_found_when_it_is_not_on_the_list() -> None:
    found = [
        breach
        for source in PACKAGE_CODE + TEST_CODE
        if source.path not in BROAD_EXCEPTS
        for breach in rules.broad_excepts(source)
    ]
    assert found == []


def test_the_list_of_broad_excepts_is_current_when_it_is_checked() -> None:
    found = {s.path for s in PACKAGE_CODE + TEST_CODE if any(rules.broad_excepts(s))}
    assert set(BROAD_EXCEPTS) == found


def test_the_list_of_allowed_breaches_is_current_when_it_is_checked() -> None:
    every = (rules.many_positionals, rules.sleeping, rules.long_modules)
    found = {
        re.sub(r":\d+ ", " ", breach, count=1)
        for rule in every
        for source in FILES
        if source.path.endswith(".py")
        for breach in rule(source)
    }
    assert [name for name in ALLOWED if not any(b.startswith(name) for b in found)] == []


def test_no_name_is_vague_when_modules_are_listed() -> None:
    assert breaches(rules.vague_names, PACKAGE_CODE + TEST_CODE) == []


def test_no_test_sleeps_when_tests_are_read() -> None:
    assert breaches(rules.sleeping, TEST_CODE) == []


def test_no_foreign_place_is_named_when_every_tracked_file_is_read() -> None:
    assert breaches(rules.foreign_places, FILES) == []


def test_the_language_needs_fastavro_alone_when_its_imports_are_listed() -> None:
    imported = {
        name
        for source in PACKAGE_CODE
        if source.path.startswith("schemas/")
        for name in rules.third_party(source)
    }
    assert imported - set(sys.stdlib_module_names) == {"civicbus_schemas", "fastavro"}


def test_the_checks_see_the_code_when_they_run() -> None:
    assert len(PACKAGE_CODE) > 20
    assert len(TEST_CODE) > 3
