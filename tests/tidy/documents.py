"""What the documents say, taken apart: code blocks, commands, named places, headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.tidy.rules import Source, tracked_files

FILES = tuple(tracked_files())
DOCUMENTS = tuple(source for source in FILES if source.path.endswith(".md"))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
GROUPS = {
    "civicbus agreement",
    "civicbus audit",
    "civicbus breakglass",
    "civicbus case",
    "civicbus consent",
    "civicbus flags",
    "civicbus officers",
    "civicbus order",
    "civicbus population",
    "civicbus pseudonyms",
    "civicbus-audit witness",
}  # commands that only hold commands
_COMMAND = re.compile(
    r"(?:\.venv/bin/)?(?:civicbus(?:-audit)?|make|python -m \w+(?:\.\w+)*)(?: |$)"
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command line as a document shows it, without its comment."""

    document: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """The command as it would be typed."""
        return shlex.join(self.words)


def named(path: str) -> Source:
    """The document at this path."""
    return next(source for source in DOCUMENTS if source.path == path)


def blocks(source: Source) -> Iterator[Block]:
    """The fenced blocks of a document."""
    for language, text in _BLOCK.findall(source.text):
        yield Block(source.path, language, text)


def prose(source: Source) -> str:
    """A document without its fenced blocks."""
    return _BLOCK.sub("", source.text)


def spans(source: Source) -> Iterator[str]:
    """What stands in `backticks` outside of blocks."""
    yield from _SPAN.findall(prose(source))


def shown_commands(source: Source) -> Iterator[Command]:
    """The commands in the document's sh blocks."""
    for block in blocks(source):
        if block.language == "sh":
            for line in block.text.splitlines():
                words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
                if words:
                    yield Command(source.path, tuple(words))


def named_commands(source: Source) -> Iterator[Command]:
    """Commands of ours that the prose names in `backticks`."""
    for span in spans(source):
        if _COMMAND.match(span) and " " in span and span not in GROUPS:
            yield Command(source.path, tuple(shlex.split(span)))


def loose_commands(source: Source) -> Iterator[str]:
    """Lines that look like commands and stand outside of sh blocks, where no test reads them."""
    other = "\n".join(block.text for block in blocks(source) if block.language == "console")
    for line in (prose(source) + other).splitlines():
        if re.match(r"(?: {4,}|\$ )", line) and _COMMAND.match(line.strip(" $")):
            yield f"{source.path}: {line.strip()}"


def links(source: Source) -> Iterator[tuple[str, str]]:
    """(file, anchor) of each link within the repository, the file by its path from the root."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(source)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            here = PurePosixPath(source.path)
            yield str(here.parent / path if path else here), anchor


def anchors(source: Source) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(source), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def section(source: Source, heading: str) -> str:
    """The text under a heading of the second level; empty where there is none."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", source.text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
