"""Running one process: signals, the log of its end, and exit codes that a supervisor can read.

0 asked to stop · 1 a defect, told by kind and place · 69 something outside does not answer, start
me again · 70 a call hung · 75 stopped: state, plan, key or offset is missing · 77 fenced by a
successor · 78 bad settings.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType

import structlog
from civicbus_audit.defects import hide_texts
from civicbus_schemas.errors import BusError, Fatal, Fenced, Retryable

from civicbus_consumers.runtime.settings import configure_logs

EXIT_UNAVAILABLE, EXIT_STOPPED, EXIT_FENCED, EXIT_REFUSED = 69, 75, 77, 78


def run_process(name: str, main: Callable[[threading.Event], None]) -> int:
    """Run `main` until SIGTERM or SIGINT sets its event; the exit code."""
    configure_logs()
    hide_texts()
    log = structlog.get_logger().bind(process=name)
    stop = threading.Event()
    when_signalled(stop.set)
    log.info("started")
    try:
        main(stop)
    except BusError as error:
        log.error("stopped", error=type(error).__name__, reason=str(error))
        return exit_code(error)
    log.info("ended")
    return 0


def when_signalled(act: Callable[[], None]) -> None:
    """Call this, in a thread of its own, whenever SIGTERM or SIGINT asks the process to stop.

    A handler runs wherever it interrupts the main thread. Within `Event.wait` it would wait for
    ever in `Event.set`, for a lock that the thread itself holds; to put into a `SimpleQueue` is
    safe anywhere.
    """
    asked = SimpleQueue[None]()

    def ask(number: int, stack: FrameType | None) -> None:
        del number, stack
        asked.put(None)

    def pass_on() -> None:
        while True:
            asked.get()
            act()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


def exit_code(error: BusError) -> int:
    """What a process that ended with this error returns."""
    match error:
        case Fenced():
            return EXIT_FENCED
        case Retryable():
            return EXIT_UNAVAILABLE
        case Fatal():
            return EXIT_STOPPED
        case _:
            return EXIT_REFUSED
