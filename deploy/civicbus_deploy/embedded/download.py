"""Fetches artifacts through jgo, which knows the registry, and shows bytes and remaining time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import requests
from jgo.maven import MavenContext, PythonResolver
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from civicbus_deploy.embedded.artifacts import Artifact
from civicbus_deploy.embedded.failures import NoNetwork

ATTEMPTS = 3
TIMEOUT_S = 30
PAUSE_S = 1.0
Advance = Callable[[int], None]


class MavenFetcher:
    """The `Fetcher` of production; `advance` is told of every chunk of bytes."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        logging.getLogger("jgo").setLevel(logging.ERROR)  # its check only warns; ours refuses

    def fetch(self, artifact: Artifact, into: Path) -> Path:
        """Download one artifact, trying three times."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(artifact, into / str(attempt))
            except (requests.RequestException, RuntimeError) as error:
                if attempt == ATTEMPTS:
                    raise NoNetwork(
                        f"the part {artifact.filename} could not be fetched",
                        got=f"{type(error).__name__} after {ATTEMPTS} attempts",
                        expected=f"{artifact.size:,} bytes from the Maven registry",
                        next_step="check network and proxy (HTTPS_PROXY), then call it again: "
                        "what has arrived and is genuine is kept",
                    ) from error
                time.sleep(PAUSE_S * attempt)
        raise AssertionError("unreachable")

    def _attempt(self, artifact: Artifact, into: Path) -> Path:
        resolver = PythonResolver(progress_callback=self._watch)
        context = MavenContext(resolver=resolver, repo_cache=into, timeout=TIMEOUT_S)
        component = context.project(artifact.group, artifact.name).at_version(artifact.version)
        return Path(component.artifact(artifact.classifier, artifact.packaging).resolve())

    def _watch(self, _name: str, _total: int) -> AbstractContextManager[Advance]:
        @contextmanager
        def watching() -> Iterator[Advance]:
            yield self._advance

        return watching()


@contextmanager
def shown(total: int, console: Console) -> Iterator[Advance]:
    """A progress bar of bytes, speed and remaining time; silent when there is nothing to fetch."""
    if not total:
        yield lambda _count: None
        return
    columns = (
        TextColumn("fetching parts"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("parts", total=total)
        yield lambda count: progress.advance(task, count)
