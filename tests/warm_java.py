"""Classes of Kafka and the registry as a JVM had them loaded and linked, for the tests' stacks.

A start of the two spends some third of its CPU on reading, checking and linking classes.
`python -m tests.warm_java` lets them run once and end, and keeps what they leave: Java's AOT caches
(JEP 483 and 514). Where there is none, or Java finds that it does not fit, it does without.

`civicbus` itself never maps one: nobody has verified them, and who can write its cache must not be
able to make it run what he likes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import civicbus_deploy.embedded
import pytest
from civicbus_deploy.embedded import artifacts, java

from tests.stack import Stack

PARTS = ("kafka", "registry")
_LEAVING_S = 300.0  # Java writes a cache when it ends, in seconds of CPU
_plain = java.command


def cache_of(part: str) -> Path:
    """Where a part's cache is: under another name when Java, its options or the part are others."""
    committed = resources.files(civicbus_deploy.embedded)
    known = (committed / "java.py").read_bytes() + (committed / f"{part}.lock").read_bytes()
    key = sha256(java.VERSION.encode() + known).hexdigest()[:16]
    return artifacts.cache_folder() / "tests-java" / f"{part}-{key}.aot"


def command(arguments: Sequence[str], *, argfile: Path) -> tuple[str, ...]:
    """`java.command`, with the cache of the part in whose folder it is to run, if there is one."""
    part = argfile.parent.name
    if part in PARTS and (cache := cache_of(part)).exists():
        arguments = [f"-XX:AOTCache={cache}", *arguments]
    return _plain(arguments, argfile=argfile)


def _learning(arguments: Sequence[str], *, argfile: Path, into: Path) -> tuple[str, ...]:
    if argfile.stem == "start" and (part := argfile.parent.name) in PARTS:
        arguments = [f"-XX:AOTCacheOutput={into / cache_of(part).name}", *arguments]
    return _plain(arguments, argfile=argfile)


def train() -> None:
    """Make the caches, unless they are there; the last step puts whole files in their places."""
    caches = [cache_of(part) for part in PARTS]
    if all(cache.exists() for cache in caches):
        return
    folder = caches[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    java.expect_a_short_life()
    with TemporaryDirectory(dir=folder) as aside, pytest.MonkeyPatch.context() as patch:
        patch.setattr(java, "command", partial(_learning, into=Path(aside)))
        stack = Stack()
        try:
            stack.start()
            for running in stack.servers.running.values():
                running.spec = replace(running.spec, stop_timeout_s=_LEAVING_S)
        finally:
            stack.close()
        for old in folder.glob("*.aot"):
            old.unlink(missing_ok=True)
        for made in Path(aside).glob("*.aot"):
            made.replace(folder / made.name)
    missing = [cache.name for cache in caches if not cache.exists()]
    if missing:  # nothing needs them
        sys.stderr.write(f"no AOT cache was written: {', '.join(missing)}; starts take longer\n")


if __name__ == "__main__":
    train()
