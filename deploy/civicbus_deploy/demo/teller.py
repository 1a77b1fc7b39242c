"""How the story is told: to people on stdout, or with `--json` on stderr beside the one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


class Teller:
    """Says chapters, sentences and tables."""

    def __init__(self, *, to_stderr: bool) -> None:
        self.console = _console(stderr=to_stderr)
        self.narration = _console(stderr=True)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def say(self, text: str) -> None:
        """A sentence."""
        self.console.print(text)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table."""
        table = Table(*headings, box=None, header_style="dim", pad_edge=False)
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def progress(self) -> Progress:
        """A bar with rate and remaining time, on stderr."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.narration,
            transient=True,
        )


def _console(*, stderr: bool) -> Console:
    """As wide as the terminal; wide enough for our tables where there is none."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = 140
    return console
