"""A command line read strictly: what is said twice, and can hold once, is wrong usage.

Without this the last of two values wins and the first is passed over silently. Every command of the
house is made by `CommandLine`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperOption

from civicbus_audit.defects import hide_texts

F = TypeVar("F", bound=Callable[..., Any])


class SaidOnce(TyperCommand):
    """A command that refuses an option given twice, unless it takes several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As of every command; raises `UsageError`, which is exit code 2."""
        _, _, said = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(said).items():
            if times > 1 and isinstance(option, TyperOption) and not option.multiple:
                ctx.fail(f"{max(option.opts, key=len)} is given {times} times; say it once")
        return super().parse_args(ctx, args)


class CommandLine(typer.Typer):
    """Typer as the house uses it: no completion, nothing said twice, no text of a defect shown."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(add_completion=False, pretty_exceptions_enable=False, **settings)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run what is asked for; Typer's own would set its hook for defects, which tells all."""
        hide_texts()
        return typer.main.get_command(self)(*args, **kwargs)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:
        """Register a function as a command."""
        return super().command(name, cls=SaidOnce, **settings)
