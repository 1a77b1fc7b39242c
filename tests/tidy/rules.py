"""The limits of the house style as functions: each yields the breaches in one file.

A breach is a text that starts with `path:line`. What ruff already sees (unused names, order of
imports) is not repeated here.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "producers", "consumers", "audit", "deploy")

MODULE_LINES = 400
FUNCTION_LINES = 60
POSITIONAL = 3
COLUMNS = 100

_VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}
_BROAD = {"Exception", "BaseException"}
# Hosts that a commit must not depend on, and paths that exist on one machine only.
_REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|repo1?\.maven\.[a-z.]*org|maven\.org|registry\.npmjs\.org)\b"
)
_MACHINE = re.compile(r"(?<![\w.*>)])/(?:work|root|home/[\w-]+|Users/[\w-]+|tmp/plan)(?:/|\b)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One text file, by its path from the root of the repository."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of it."""
        return tuple(ast.walk(self.tree))

    def at(self, node: ast.AST | int, what: str) -> str:
        """A breach at a node or a line."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line} {what}"


@cache
def tracked_files() -> tuple[Source, ...]:
    """Every text file that git tracks, each read and parsed once."""
    return tuple(_read_tracked())


def _read_tracked() -> Iterator[Source]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            try:
                yield Source(name, path.read_text("utf-8"))
            except UnicodeDecodeError:
                continue  # a golden binary


def is_package_code(source: Source) -> bool:
    """Whether the file is code of one of the five packages."""
    parts = PurePosixPath(source.path).parts
    return (
        source.path.endswith(".py") and parts[0] in PACKAGES and parts[1] == f"civicbus_{parts[0]}"
    )


def is_test_code(source: Source) -> bool:
    """Whether the file is code of the tests."""
    return source.path.startswith("tests/") and source.path.endswith(".py")


def long_modules(source: Source) -> Iterator[str]:
    """A module has at most 400 lines."""
    if len(source.lines) > MODULE_LINES:
        yield source.at(1, f"{len(source.lines)} lines, at most {MODULE_LINES}")


def long_lines(source: Source) -> Iterator[str]:
    """A line has at most 100 columns; a directive to a checker at its end does not count."""
    for number, line in enumerate(source.lines, start=1):
        width = len(line.partition("  # noqa:")[0].partition("  # type:")[0])
        if width > COLUMNS:
            yield source.at(number, f"{width} columns, at most {COLUMNS}")


def long_functions(source: Source) -> Iterator[str]:
    """A function has at most 60 lines."""
    for function in _functions(source):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield source.at(function, f"{function.name}: {lines} lines, at most {FUNCTION_LINES}")


def many_positionals(source: Source) -> Iterator[str]:
    """A function takes at most three positional parameters besides its object.

    The parameters of a command are the options of its command line.
    """
    methods = {
        id(item)
        for node in source.nodes
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, Function) and not _decorated(item, "staticmethod")
    }
    for function in _functions(source):
        parameters = function.args.posonlyargs + function.args.args
        count = len(parameters) - (id(function) in methods)
        if count > POSITIONAL and not _is_command(function):
            yield source.at(function, f"{function.name}: {count} positional parameters")


def undocumented(source: Source) -> Iterator[str]:
    """Every public module, class, function and method has a docstring."""
    if ast.get_docstring(source.tree) is None:
        yield source.at(1, "the module has no docstring")
    if not any(part.startswith("_") for part in PurePosixPath(source.path).stem.split(".")):
        yield from _undocumented(source, source.tree)


def broad_excepts(source: Source) -> Iterator[str]:
    """No handler takes every exception; what must be undone is undone in a `finally` or a stack."""
    for node in source.nodes:
        match node:
            case ast.ExceptHandler(type=type_) if _is_broad(type_):
                yield source.at(node, "a broad except")


def vague_names(source: Source) -> Iterator[str]:
    """No module or folder is called utils, common, helpers or manager."""
    for part in PurePosixPath(source.path).with_suffix("").parts:
        if _VAGUE & set(part.split("_")):
            yield source.at(1, f"{part} says nothing of what it holds")


def sleeping(source: Source) -> Iterator[str]:
    """A test waits for a condition, never for time to pass."""
    for node in source.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="time" | "asyncio" as module), attr="sleep"):
                yield source.at(node, f"{module}.sleep")
            case ast.ImportFrom(module="time" | "asyncio" as module, names=names) if "sleep" in {
                name.name for name in names
            }:
                yield source.at(node, f"{module}.sleep")


def foreign_places(source: Source) -> Iterator[str]:
    """No address of a package registry and no path of one machine."""
    for number, line in enumerate(source.lines, start=1):
        for pattern, what in ((_REGISTRY, "a registry's address"), (_MACHINE, "a machine's path")):
            if pattern.search(line):
                yield source.at(number, what)


def third_party(source: Source) -> set[str]:
    """The top-level names that a Python file imports."""
    names: set[str] = set()
    for node in source.nodes:
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
    return names


def _functions(source: Source) -> Iterator[Function]:
    return (node for node in source.nodes if isinstance(node, Function))


def _undocumented(source: Source, parent: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None and not _needs_no_words(node):
            yield source.at(node, f"{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node)


def _needs_no_words(node: Function | ast.ClassDef) -> bool:
    """A member of a documented protocol, or a method that a base class documents."""
    match node:
        case ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=value))]) if value is ...:
            return True
    return isinstance(node, Function) and any(_decorated(node, n) for n in ("overload", "override"))


def _decorated(function: Function, name: str) -> bool:
    return any(isinstance(d, ast.Name) and d.id == name for d in function.decorator_list)


def _is_command(function: Function) -> bool:
    calls = [d.func for d in function.decorator_list if isinstance(d, ast.Call)]
    return any(isinstance(c, ast.Attribute) and c.attr in {"command", "callback"} for c in calls)


def _is_broad(type_: ast.expr | None) -> bool:
    match type_:
        case None:
            return True
        case ast.Name(id=name):
            return name in _BROAD
        case ast.Tuple(elts=items):
            return any(map(_is_broad, items))
    return False
