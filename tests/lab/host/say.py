"""What the lab tells on standard error: one line per step, with the seconds since the start."""

import sys
import time
from collections.abc import Callable
from typing import NoReturn

# What `run` exits with when the lab, and not SCRIPT, failed; and when SCRIPT ran into its time limit.
LAB_FAILED = 125
TIMED_OUT = 124

_started = time.monotonic()


class LabError(Exception):
    """The lab itself failed; the text says how, for people."""


def elapsed() -> float:
    """Return the seconds since the program started."""
    return time.monotonic() - _started


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"lab {elapsed():6.1f}s  {text}", file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """End the program with what went wrong."""
    say(text)
    sys.exit(LAB_FAILED)


class Ticker:
    """Says from time to time that a long step is still going on, and where it is.

    Attributes:
        seconds: the least time between two lines.
    """

    def __init__(self, name: str, write: Callable[[str], None] = say, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self._name = name
        self._write = write
        self._last = time.monotonic()

    def tick(self, where: str) -> None:
        """Say WHERE the step is, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            self._write(f"{self._name}: {where[:100]}")
