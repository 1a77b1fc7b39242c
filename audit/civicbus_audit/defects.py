"""What is told of an error that nobody foresaw: its kind and place, never its text.

The text may repeat what was being worked on, and so name a person (invariant I6).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from traceback import extract_tb, format_tb

_CAUSES = 5


def kind_and_place(error: BaseException) -> str:
    """`KeyError in rules.py:41`, and the same of what it came from."""
    return ", from ".join(islice(_chain(error), _CAUSES))


def _chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        kind = type(error).__name__
        if isinstance(error, OSError) and error.errno:
            kind += f" ({os.strerror(error.errno)})"
        frames = extract_tb(error.__traceback__)
        place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        yield kind + place
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def hide_texts() -> None:
    """Let the interpreter tell defects of this process so, in whatever thread, and logging, too.

    Call it after logging is set up: what a library says about an exception becomes its kind and
    place wherever the root logger's handlers write it.
    """
    sys.excepthook = lambda _, error, __: _tell(error)
    threading.excepthook = lambda defect: _tell(defect.exc_value)
    sys.unraisablehook = lambda defect: _tell(defect.exc_value)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_text)


def _tell(error: BaseException | None) -> None:
    if error is None:
        return
    frames = "".join(format_tb(error.__traceback__))  # lines of code, no values
    sys.stderr.write(f"{frames}{kind_and_place(error)}\n")
    sys.stderr.flush()


def _without_text(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1]:
        record.msg, record.args = f"failed: {kind_and_place(record.exc_info[1])}", ()
        record.exc_info = record.exc_text = None
    return True
