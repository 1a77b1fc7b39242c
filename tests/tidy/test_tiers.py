"""The tier on the real servers is looked for where its tests are."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from tests import conftest
from tests.tidy import rules
from tests.tidy.rules import ROOT, Source

_NAMED = re.compile(r"\.(?:broker|docker)\b")  # else it needs not be parsed


def is_marked(source: Source) -> bool:
    """Whether any test of the file needs a server."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in {"broker", "docker"}
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "mark"
        for node in source.nodes
    )


MARKED = [
    PurePosixPath(source.path)
    for source in rules.tracked_files()
    if rules.is_test_code(source) and _NAMED.search(source.text) and is_marked(source)
]


def test_every_folder_is_searched_when_make_runs_the_tier_on_the_real_servers() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [named] = re.findall(r"^BROKER_TESTS := \$\(addprefix tests/,(.*)\)$", makefile, re.MULTILINE)
    assert set(named.split()) == {path.parts[1] for path in MARKED}


def test_the_longest_files_are_there_when_they_are_begun_first() -> None:
    assert set(conftest.LONGEST) <= {path.stem for path in MARKED}
