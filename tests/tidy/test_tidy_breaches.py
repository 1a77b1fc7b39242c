"""Each tidy rule catches a planted breach, and lets the nearest honest code pass."""

from __future__ import annotations

import pytest

from tests.tidy import rules
from tests.tidy.rules import Source
from tests.tidy.test_tidy_style import Rule

DOC = '"""A module."""\n'


def source(text: str, path: str = "audit/civicbus_audit/planted.py") -> Source:
    """A file with this text."""
    return Source(path, text)


def function(lines: int) -> str:
    """A function of so many lines."""
    return "def grow() -> None:\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (rules.long_modules, "x = 1\n" * 401, "x = 1\n" * 400),
        (rules.long_functions, function(61), function(60)),
        (rules.long_lines, "x" * 101, "x" * 100 + "  # noqa: T201"),
        (rules.many_positionals, "def f(a, b, c, d): ...", "def f(a, b, c, *, d): ..."),
        (rules.many_positionals, "def f(a, b, /, c, d): ...", "def f(*a, **b): ..."),
        (
            rules.many_positionals,
            "class C:\n    def f(self, a, b, c, d): ...",
            "class C:\n    def f(self, a, b, c): ...",
        ),
        (
            rules.many_positionals,
            "class C:\n    @staticmethod\n    def f(a, b, c, d): ...",
            "class C:\n    @classmethod\n    def f(cls, a, b, c): ...",
        ),
        (
            rules.many_positionals,
            "@app.other()\ndef f(a, b, c, d): ...",
            "@app.command()\ndef f(a, b, c, d): ...",
        ),
        (rules.undocumented, "x = 1", DOC),
        (rules.undocumented, DOC + "def f(): pass", DOC + "def _f(): pass"),
        (rules.undocumented, DOC + "class C: ...", DOC + "class C:\n    'A thing.'"),
        (
            rules.undocumented,
            DOC + "class C:\n    'A thing.'\n    def f(self): pass",
            DOC + "class C:\n    'A thing.'\n    def __len__(self): ...",
        ),
        (
            rules.broad_excepts,
            "try: ...\nexcept Exception: ...",
            "try: ...\nexcept ValueError: ...",
        ),
        (
            rules.broad_excepts,
            "try: ...\nexcept:\n    undo()\n    raise",
            "try: ...\nfinally:\n    undo()",
        ),
        (
            rules.broad_excepts,
            "try: ...\nexcept (KeyError, BaseException): ...",
            "try: ...\nexcept (KeyError, OSError): ...",
        ),
        (rules.sleeping, "import time\ntime.sleep(1)", "import time\ntime.monotonic()"),
        (rules.sleeping, "from time import sleep", "from time import monotonic"),
        (rules.sleeping, "import asyncio\nasyncio.sleep(1)", "import asyncio\nasyncio.run(f())"),
        (rules.foreign_places, f"index = 'https://{'pypi'}.org/simple'", "name = 'pypi'"),
        (rules.foreign_places, f"see /{'work'}/notes", "see framework/notes"),
        (rules.foreign_places, f"cp x /{'home'}/an/x", "the home of a name"),
    ],
)
def test_a_breach_is_caught_when_it_is_planted(rule: Rule, bad: str, good: str) -> None:
    assert list(rule(source(bad)))
    assert not list(rule(source(good)))


@pytest.mark.parametrize("name", ["utils", "common", "helpers", "manager", "kafka_utils"])
def test_a_vague_name_is_caught_when_it_is_planted(name: str) -> None:
    assert list(rules.vague_names(source("", f"audit/civicbus_audit/{name}.py")))
    assert not list(rules.vague_names(source("", "audit/civicbus_audit/merkle.py")))


def test_imported_names_are_seen_when_they_are_spelled_either_way() -> None:
    text = "import yaml.nodes\nfrom os import path\nfrom . import here"
    assert rules.third_party(source(text)) == {"yaml", "os"}
